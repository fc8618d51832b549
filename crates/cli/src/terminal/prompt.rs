//! Questions to the person at the terminal, and secrets from files and standard input.
//!
//! A question is only asked when standard input and standard error are terminals. Reading blocks, so it
//! happens on a thread of its own that nobody waits for once the answer is no longer wanted.

use std::io::{self, BufRead, IsTerminal, Read};
use std::path::Path;
use std::time::Duration;

use anyhow::Context as _;
use hoody_client::wire::Secret;
use hoody_core::secret_text;
use zeroize::Zeroizing;

use super::failure::{Exit, Failure};
use super::process;

/// How long a yes-or-no question waits; silence is no.
const PATIENCE: Duration = Duration::from_secs(30);
/// How often a number that is not on offer may be chosen.
const TRIES: usize = 3;
/// No password or token is longer.
const LONGEST_SECRET: u64 = 64 * 1024;

/// Whether questions can be asked.
pub fn is_possible() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks for a line of text.
pub(crate) async fn text(question: &str) -> Result<String, Failure> {
    process::ask(&format!("{question}: "));
    let line = blocking(read_line).await?;
    if line.is_empty() {
        return Err(Failure::new(Exit::Aborted, "nothing entered"));
    }
    Ok(line)
}

/// Asks which of `ways` is meant, by its number.
pub(crate) async fn choice<T: Copy>(question: &str, ways: &[(&str, T)]) -> Result<T, Failure> {
    let mut menu = format!("{question}\n");
    for (n, (way, _)) in (1..).zip(ways) {
        menu.push_str(&format!("  {n}  {way}\n"));
    }
    process::ask(&menu);
    for _ in 0..TRIES {
        let answer = text(&format!("1 to {}", ways.len())).await?;
        let chosen = answer.trim().parse::<usize>().ok().and_then(|n| ways.get(n.checked_sub(1)?));
        if let Some((_, chosen)) = chosen {
            return Ok(*chosen);
        }
    }
    Err(Failure::new(Exit::Aborted, "none of these was chosen"))
}

/// Asks for a secret; nothing shows while it is typed.
pub(crate) async fn secret(question: &str) -> Result<Secret, Failure> {
    let question = question.to_owned();
    // The terminal must echo again when the question ends with Ctrl-C.
    let before = rustix::termios::tcgetattr(io::stdin()).ok();
    let asked = blocking(move || {
        dialoguer::Password::new().with_prompt(question).interact().map_err(|error| match error {
            dialoguer::Error::IO(error) => error,
        })
    });
    tokio::select! {
        answer = asked => answer.map(Secret::from),
        _ = tokio::signal::ctrl_c() => {
            if let Some(before) = before {
                let _ = rustix::termios::tcsetattr(io::stdin(), rustix::termios::OptionalActions::Now, &before);
            }
            Err(Failure::new(Exit::Interrupted, "interrupted"))
        }
    }
}

/// Asks for a new password, twice; nothing shows while it is typed. Blocks until it is answered.
pub fn new_password(question: &str) -> anyhow::Result<Zeroizing<String>> {
    let prompt = dialoguer::Password::new().with_prompt(question);
    Ok(Zeroizing::new(prompt.with_confirmation("Again", "The two differ").interact()?))
}

/// Asks yes or no. Silence for half a minute is no.
pub async fn confirm(question: &str) -> Result<(), Failure> {
    process::ask(&format!("{question} [y/N] "));
    let answer = tokio::time::timeout(PATIENCE, blocking(read_line)).await;
    match answer {
        Ok(Ok(line)) if matches!(line.to_ascii_lowercase().as_str(), "y" | "yes") => Ok(()),
        Ok(Err(failure)) => Err(failure),
        Ok(Ok(_)) => Err(Failure::new(Exit::Aborted, "nothing was done")),
        Err(_) => Err(Failure::new(Exit::Aborted, "no answer: nothing was done")),
    }
}

/// What a secret is, where it is read from: blanks are part of a password and of nothing else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A password.
    Password,
    /// A token, a code.
    Token,
}

impl Kind {
    /// The secret in a text.
    pub(crate) fn read(self, text: &str) -> Secret {
        Secret::new(match self {
            Self::Password => secret_text::password(text),
            Self::Token => secret_text::token(text),
        })
    }
}

/// The secret in the first line of standard input.
pub(crate) async fn secret_from_stdin(kind: Kind) -> Result<Secret, Failure> {
    let secret = kind.read(&Zeroizing::new(blocking(read_line).await?));
    if secret.is_empty() {
        return Err(Failure::failed("standard input holds no secret in its first line"));
    }
    Ok(secret)
}

/// The secret in the first line of a file; `-` is standard input.
pub(crate) async fn secret_from_file(kind: Kind, path: &Path) -> Result<Secret, Failure> {
    if path == Path::new("-") {
        return secret_from_stdin(kind).await;
    }
    let mut text = Zeroizing::new(String::new());
    std::fs::File::open(path)
        .and_then(|file| file.take(LONGEST_SECRET).read_to_string(&mut text))
        .with_context(|| format!("cannot read {}", path.display()))?;
    let secret = kind.read(&text);
    if secret.is_empty() {
        return Err(Failure::failed(format!("{} holds no secret in its first line", path.display())));
    }
    Ok(secret)
}

/// The token or code as given by a flag; `-` reads it from standard input.
pub(crate) async fn given(flag: &Secret) -> Result<Secret, Failure> {
    if flag.expose() == "-" {
        secret_from_stdin(Kind::Token).await
    } else {
        Ok(Kind::Token.read(flag.expose()))
    }
}

fn read_line() -> io::Result<String> {
    let mut line = String::new();
    io::stdin().lock().take(LONGEST_SECRET).read_line(&mut line)?;
    Ok(line.trim_end_matches(['\r', '\n']).to_owned())
}

async fn blocking<T: Send + 'static>(
    read: impl FnOnce() -> io::Result<T> + Send + 'static,
) -> Result<T, Failure> {
    let (answer, asked) = tokio::sync::oneshot::channel();
    // Not the runtime's pool: the process could not end while a question waits.
    std::thread::spawn(move || answer.send(read()).is_ok());
    let read = asked.await.map_err(|_| Failure::failed("cannot read the answer"))?;
    read.map_err(|error| Failure::failed(format!("cannot read the answer: {error}")))
}
