//! `login --web`: somebody signs in on a page of the server, in whatever browser, and this command gets the
//! session (RFC 8628, with PKCE). No password passes through here.

use std::process::{Command, Stdio};
use std::time::Duration;

use hoody_client::wire::{DeviceCode, LoginData, PollDevice, Secret, StartDevice};
use hoody_client::{Client, Error, Poll};
use hoody_core::device::MAX_CLIENT_NAME;
use hoody_core::pkce::Verifier;

use crate::context::Context;
use crate::terminal::failure::Failure;

/// Between two polls where the server does not say, and what `slow_down` adds.
const INTERVAL: Duration = Duration::from_secs(5);
/// For how long codes are good where the server does not say, in seconds.
const LIFETIME: u64 = 900;
/// The longest that is waited, in seconds.
const LONGEST: u64 = 1_800;

/// Shows the code, waits for somebody to sign in, and gives the session.
///
/// # Errors
/// Exit code 1 when somebody refused or the code is over.
pub(super) async fn sign_in(
    context: &Context,
    client: &Client,
    client_name: String,
    opens_browser: bool,
) -> Result<LoginData, Failure> {
    let verifier = Verifier::from_bytes((context.random)());
    let request = StartDevice {
        client_name: Some(own_name()),
        client: Some(client_name),
        code_challenge: Some(verifier.challenge().as_str().to_owned()),
    };
    let codes = client.device().start(&request).await?;
    context.output.must_say(&format!(
        "Sign in at {} with the code {}\nor at {}",
        codes.verification_uri, codes.user_code, codes.verification_uri_complete
    ));
    if opens_browser && context.is_interactive && has_browser() {
        open(&codes.verification_uri_complete);
    }
    context.output.note("Waiting for somebody to approve it there …");
    let seconds = codes.expires_in.unwrap_or(LIFETIME).min(LONGEST);
    let waited = tokio::time::timeout(Duration::from_secs(seconds), wait(client, &codes, &verifier)).await;
    waited.unwrap_or_else(|_| Err(over()))
}

async fn wait(client: &Client, codes: &DeviceCode, verifier: &Verifier) -> Result<LoginData, Failure> {
    let poll = PollDevice {
        device_code: codes.device_code.clone(),
        code_verifier: Some(Secret::from(verifier.expose())),
    };
    // An answer that was lost on the way may have been the session, which is given out once.
    let mut is_one_lost = false;
    let mut interval = codes.interval.map_or(INTERVAL, |seconds| Duration::from_secs(seconds.clamp(1, 60)));
    loop {
        tokio::time::sleep(interval).await;
        match client.device().poll(&poll).await {
            Ok(Poll::Session(session)) => return Ok(*session),
            Ok(Poll::Pending) => {}
            Ok(Poll::Denied) => return Err(Failure::failed("the sign-in was refused")),
            Ok(Poll::Expired) if is_one_lost => {
                return Err(Failure::failed(
                    "the code is over, or the answer with the session was lost on the way",
                )
                .hint("`hoody login --web` gets another code"));
            }
            Ok(Poll::Expired) => return Err(over()),
            Err(error) if !may_pass(&error) => return Err(error.into()),
            Err(error) if error.is_outcome_unknown() => {
                is_one_lost = true;
                interval += INTERVAL;
            }
            // Too fast, or nobody answers just now: slower from here on.
            Ok(_) | Err(_) => interval += INTERVAL,
        }
    }
}

/// Whether another poll may do better.
fn may_pass(error: &Error) -> bool {
    match error {
        Error::Network { .. } | Error::Broken { .. } | Error::Timeout { .. } => true,
        error => error.api().is_some_and(|refusal| {
            refusal.status.is_server_error() || refusal.status == http::StatusCode::TOO_MANY_REQUESTS
        }),
    }
}

fn over() -> Failure {
    Failure::failed("nobody approved it in time").hint("`hoody login --web` gets another code")
}

/// What the page shows of this command.
fn own_name() -> String {
    let system = rustix::system::uname();
    let host = system.nodename().to_string_lossy();
    let name: String =
        format!("hoody on {host}").chars().filter(|c| c.is_ascii_graphic() || *c == ' ').collect();
    name.chars().take(MAX_CLIENT_NAME).collect()
}

/// Whether somebody sits in front of this machine's own screen.
fn has_browser() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_far = is_set("SSH_CONNECTION") || is_set("SSH_TTY");
    let has_screen = cfg!(target_os = "macos") || is_set("DISPLAY") || is_set("WAYLAND_DISPLAY");
    has_screen && !is_far
}

/// Asks the desktop for a browser. When there is none, the address is on the screen.
fn open(address: &str) {
    // What a server gives as its page goes to no other program than one for pages.
    if !address.starts_with("https://") && !address.starts_with("http://") {
        return;
    }
    let program = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    let command = &mut Command::new(program);
    let _ = command.arg(address).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_page_is_told_a_name_that_the_server_takes() {
        let name = own_name();
        assert!(name.starts_with("hoody on "), "{name}");
        assert!(hoody_core::names::client_name(&name).is_ok(), "{name}");
    }
}
