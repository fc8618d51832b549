//! How a mail leaves: by SMTP (RFC 5321) with TLS, or into a file.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use hoody_core::wire::Secret;
use lettre::message::header::{ContentTransferEncoding, ContentType, HeaderName, HeaderValue};
use lettre::message::{Body, Mailbox};
use lettre::transport::smtp;
use lettre::transport::smtp::authentication::Credentials;
use lettre::transport::smtp::client::{Tls, TlsParameters};
use lettre::{Address, AsyncSmtpTransport, AsyncTransport as _, Message, Tokio1Executor};

use hoody_engine::files::write_whole;
use hoody_engine::jobs::{Failure, Job};

/// How long the server may take for each of its answers: an attempt has several.
const ANSWER_LIMIT: Duration = Duration::from_secs(20);

/// The longest line of a mail, in characters (RFC 5322, 2.1.1).
const LONGEST_LINE: usize = 998;

/// How mails leave, as it is configured.
#[derive(Debug, Clone)]
pub struct Transport {
    pub from: Mailbox,
    pub route: Route,
}

/// Where mails go.
#[derive(Debug, Clone)]
pub enum Route {
    Smtp {
        server: SmtpServer,
        credentials: Option<(String, Secret)>,
    },
    /// One file each, in this directory.
    Files(PathBuf),
}

/// An SMTP server: `smtp://host:port` or `smtps://host:port`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SmtpServer {
    host: String,
    port: u16,
    security: Security,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Security {
    /// TLS from the first byte (RFC 8314).
    Implicit,
    /// STARTTLS or nothing is sent (RFC 3207).
    StartTls,
    /// None: loopback only.
    Plain,
}

impl Route {
    /// Files in `mail/` of the data directory.
    pub fn files(data_dir: &Path) -> Self {
        Self::Files(data_dir.join("mail"))
    }
}

/// Reads whom mails are from: an address, with or without a name before it.
///
/// # Errors
/// A sentence.
pub fn parse_sender(text: &str) -> Result<Mailbox, String> {
    text.parse().map_err(|_| "must be an address, e.g. \"Hoody <auth@example.com>\"".to_owned())
}

impl SmtpServer {
    /// Reads its address. Without a port: 465 for smtps, 587 for smtp.
    ///
    /// # Errors
    /// A sentence, which does not repeat the text: it may hold a password.
    pub fn parse(text: &str) -> Result<Self, String> {
        let rule = || "must be smtp://HOST:PORT or smtps://HOST:PORT".to_owned();
        let uri: http::Uri = text.parse().map_err(|_| rule())?;
        let authority = uri.authority().ok_or_else(rule)?;
        if authority.as_str().contains('@') {
            return Err("must not hold name and password: give them by HOODY_SMTP_USERNAME and \
                        HOODY_SMTP_PASSWORD, or by --smtp-credentials-file"
                .to_owned());
        }
        let is_plain = matches!(uri.path(), "" | "/") && uri.query().is_none() && !text.contains('#');
        if !is_plain || !has_good_port(authority) {
            return Err(rule());
        }
        let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_owned();
        if host.is_empty() {
            return Err(rule());
        }
        let (port, security) = match uri.scheme_str() {
            Some("smtps") => (465, Security::Implicit),
            Some("smtp") if is_loopback(&host) => (587, Security::Plain),
            Some("smtp") => (587, Security::StartTls),
            _ => return Err(rule()),
        };
        Ok(Self { port: authority.port_u16().unwrap_or(port), host, security })
    }
}

/// Whether the port is a valid port number, or absent.
pub fn has_good_port(authority: &http::uri::Authority) -> bool {
    let behind_host = authority.as_str().rsplit(']').next().unwrap_or_default();
    behind_host.split_once(':').is_none_or(|(_, port)| port.parse::<u16>().is_ok())
}

fn is_loopback(host: &str) -> bool {
    host == "localhost" || host.parse().is_ok_and(|address: std::net::IpAddr| address.is_loopback())
}

/// Sends mails.
pub struct Mailer {
    from: Mailbox,
    way: Way,
}

enum Way {
    Smtp(AsyncSmtpTransport<Tokio1Executor>),
    Files(PathBuf),
}

impl std::fmt::Debug for Mailer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self.way {
            Way::Smtp(_) => "Mailer(smtp)",
            Way::Files(_) => "Mailer(files)",
        })
    }
}

impl Mailer {
    /// Puts it together; connects to nothing.
    pub fn new(transport: &Transport) -> anyhow::Result<Self> {
        let way = match &transport.route {
            Route::Smtp { server, credentials } => Way::Smtp(smtp(server, credentials.as_ref())?),
            Route::Files(directory) => Way::Files(directory.clone()),
        };
        Ok(Self { from: transport.from.clone(), way })
    }

    /// The directory that mails are put into, if they are not sent.
    pub fn directory(&self) -> Option<&Path> {
        match &self.way {
            Way::Smtp(_) => None,
            Way::Files(directory) => Some(directory),
        }
    }

    /// Sends a text of the job. Sent twice, it has the same `Message-ID`, or goes into the same file.
    pub async fn send(&self, job: &Job, to: &str, subject: &str, text: &str) -> Result<(), Failure> {
        let message = self.message(job, to, subject, text)?;
        match &self.way {
            Way::Smtp(transport) => match transport.send(message).await {
                Ok(_) => Ok(()),
                Err(error) => Err(failure(&error)),
            },
            Way::Files(directory) => {
                let path = directory.join(format!("{}.eml", job.id));
                let written = path.clone();
                let task = tokio::task::spawn_blocking(move || write_whole(&written, &message.formatted()));
                let result = task.await.unwrap_or_else(|error| Err(std::io::Error::other(error)));
                result.map_err(|error| Failure::Later(format!("{}: {error}", path.display())))?;
                let account = job.account.map(|id| id.to_string());
                tracing::info!(file = %path.display(), account.id = account, job.attempt, "a mail was put into a file: --smtp-url has it sent");
                Ok(())
            }
        }
    }

    fn message(&self, job: &Job, to: &str, subject: &str, text: &str) -> Result<Message, Failure> {
        let never = |why: &str| Failure::Never(why.to_owned());
        let to: Address = to.parse().map_err(|_| never("the address is none that mail can be sent to"))?;
        // As it is, where lettre would break lines of more than 76 characters: a link stays whole.
        if !text.is_ascii() || text.lines().any(|line| line.len() > LONGEST_LINE) {
            return Err(never("the text cannot be sent as it is"));
        }
        let lines = text.replace('\n', "\r\n").into_bytes();
        let body = Body::dangerous_pre_encoded(lines, ContentTransferEncoding::SevenBit);
        let created = u64::try_from(job.created_at.millis()).unwrap_or(0);
        Message::builder()
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(subject)
            .date(SystemTime::UNIX_EPOCH + Duration::from_millis(created))
            .message_id(Some(format!("<{}@{}>", job.id, self.from.email.domain())))
            // No machine answers a machine (RFC 3834).
            .raw_header(HeaderValue::new(
                HeaderName::new_from_ascii_str("Auto-Submitted"),
                "auto-generated".to_owned(),
            ))
            .header(ContentType::TEXT_PLAIN)
            .body(body)
            .map_err(|_| never("the mail cannot be put together"))
    }
}

fn smtp(
    server: &SmtpServer,
    credentials: Option<&(String, Secret)>,
) -> anyhow::Result<AsyncSmtpTransport<Tokio1Executor>> {
    let parameters = || TlsParameters::new_rustls(server.host.clone());
    let tls = match server.security {
        Security::Implicit => Tls::Wrapper(parameters()?),
        Security::StartTls => Tls::Required(parameters()?),
        Security::Plain => Tls::None,
    };
    let mut builder = AsyncSmtpTransport::<Tokio1Executor>::builder_dangerous(server.host.clone())
        .port(server.port)
        .tls(tls)
        .timeout(Some(ANSWER_LIMIT));
    if let Some((name, password)) = credentials {
        builder = builder.credentials(Credentials::new(name.clone(), password.expose().to_owned()));
    }
    Ok(builder.build())
}

/// What the server said no to for good is not tried again, unless it may be our settings that are wrong.
fn failure(error: &smtp::Error) -> Failure {
    let mut text = format!("SMTP: {error}");
    let mut source = std::error::Error::source(error);
    while let Some(next) = source {
        let next_text = next.to_string();
        if !text.contains(&next_text) {
            text = format!("{text}: {next_text}");
        }
        source = next.source();
    }
    let code = error.status().map(|code| code.to_string());
    if code.is_some_and(|code| code.starts_with("55")) { Failure::Never(text) } else { Failure::Later(text) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn beyond_loopback_smtp_needs_starttls_and_smtps_is_tls_throughout() {
        let parsed = |text: &str| SmtpServer::parse(text).unwrap();
        let server = |host: &str, port, security| SmtpServer { host: host.to_owned(), port, security };
        for (text, expected) in [
            ("smtp://mail.example.com", server("mail.example.com", 587, Security::StartTls)),
            ("smtp://mail.example.com:25/", server("mail.example.com", 25, Security::StartTls)),
            ("smtp://10.0.0.1:25", server("10.0.0.1", 25, Security::StartTls)),
            ("smtp://localhost.example.com", server("localhost.example.com", 587, Security::StartTls)),
            ("smtps://mail.example.com", server("mail.example.com", 465, Security::Implicit)),
            ("smtps://127.0.0.1:2465", server("127.0.0.1", 2465, Security::Implicit)),
            ("smtp://127.0.0.1:2525", server("127.0.0.1", 2525, Security::Plain)),
            ("smtp://[::1]:2525", server("::1", 2525, Security::Plain)),
            ("smtp://localhost:2525", server("localhost", 2525, Security::Plain)),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn an_address_with_a_password_is_refused_and_not_repeated() {
        for bad in [
            "smtp://user:hunter2@mail.example.com",
            "smtps://hunter2@h",
            "http://hunter2",
            "hunter2",
            "smtp://h/hunter2",
            "smtp://h?hunter2",
            "smtp://h#hunter2",
            "smtp://h:70000",
            "smtp://[::1]:x",
            "smtp://",
            "",
        ] {
            let why = SmtpServer::parse(bad).unwrap_err();
            assert!(!why.contains("hunter2"), "{why}");
        }
    }

    #[test]
    fn a_sender_has_an_address_and_maybe_a_name() {
        assert!(parse_sender("auth@example.com").is_ok());
        assert!(parse_sender("Hoody <auth@example.com>").is_ok());
        assert!(parse_sender("hoody@api.localhost").is_ok());
        for bad in ["", "Hoody", "a@b\r\nBcc: x@y"] {
            assert!(parse_sender(bad).is_err(), "{bad}");
        }
    }
}
