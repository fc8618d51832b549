//! Wings: crates beside this one that bring endpoints of their own. The binary gives their makers to
//! [`Settings`](crate::nouns::Settings); [`Nouns`](crate::nouns::Nouns) puts them together with the nouns.

use std::fmt;
use std::sync::Arc;

use hoody_engine::engine::Engine;
use hoody_engine::keys::sealed::Sealed;
use hoody_engine::tasks::Tasks;
use hoody_engine::web::layers::Branch;
use utoipa_axum::router::OpenApiRouter;

/// What a wing hands over, as a noun does.
pub trait Wing: fmt::Debug + Send + Sync {
    /// Its endpoints, with their state.
    fn routes(self: Arc<Self>) -> OpenApiRouter;

    /// What answers some requests before the router.
    fn branches(self: Arc<Self>) -> Vec<Box<dyn Branch>>;

    /// Starts what runs beside the requests.
    fn start(self: Arc<Self>, tasks: &Tasks);

    /// Its columns of sealed values.
    fn sealed(&self) -> Vec<&'static Sealed>;
}

/// Makes a wing from the parts of the engine.
pub type Maker = Arc<dyn Fn(&Engine) -> anyhow::Result<Arc<dyn Wing>> + Send + Sync>;

/// The makers of all wings.
#[derive(Clone, Default)]
pub struct Wings(pub Vec<Maker>);

impl fmt::Debug for Wings {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wings({})", self.0.len())
    }
}

impl Wings {
    pub(crate) fn make(&self, engine: &Engine) -> anyhow::Result<Vec<Arc<dyn Wing>>> {
        self.0.iter().map(|make| make(engine)).collect()
    }
}
