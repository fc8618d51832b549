//! What pages are built from, once (`docs/design.md`): the frame and the dialog, forms, words of state, times,
//! numbers, bars. Whatever is put into a page goes through `maud`, which escapes it.

pub(crate) mod bars;
pub(crate) mod form;
pub(crate) mod page;
pub(crate) mod permissions;
pub(crate) mod secret;
pub(crate) mod status;
pub(crate) mod time;
pub(crate) mod words;
