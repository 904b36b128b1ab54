//! The administrator's file of sinks: names that users may choose from, and how each is reached. Parsed at the start, where a mistake ends the
//! process with one line. Addresses and secrets are not in it: it names the files that hold them.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde_saphyr::Spanned;

use crate::{
    api::{annotations::Phase, foreign, notify::is_name},
    words::within,
};

/// Nobody needs more, and each is a label of a metric.
const MOST: usize = 50;
const MOST_HEADERS: usize = 10;

/// The phases of which anybody is told.
pub const PHASES: [Phase; 4] = [Phase::Rejected, Phase::Inconclusive, Phase::AwaitingApproval, Phase::Promoted];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    Slack,
    Teams,
    Discord,
    GoogleChat,
    /// `CloudEvents`, signed.
    Webhook,
}

impl Kind {
    const ALL: [(&'static str, Self); 5] = [
        ("slack", Self::Slack),
        ("teams", Self::Teams),
        ("discord", Self::Discord),
        ("googlechat", Self::GoogleChat),
        ("webhook", Self::Webhook),
    ];
}

/// One place that is told.
#[derive(Clone, PartialEq, Eq)]
pub struct Sink {
    pub name: String,
    pub kind: Kind,
    /// Path of a file with the address, which is a secret.
    pub url_file: String,
    /// Slack's, where the hook takes one.
    pub channel: Option<String>,
    pub headers: Vec<(String, String)>,
    pub phases: Vec<Phase>,
    /// Authorities (PEM) that its certificate is checked against.
    pub ca_file: Option<String>,
    /// What requests to a webhook are signed with.
    pub secret_file: Option<String>,
}

/// Headers may carry a token.
impl fmt::Debug for Sink {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Sink").field("name", &self.name).field("kind", &self.kind).finish_non_exhaustive()
    }
}

/// All of them, and who is told where nobody says otherwise.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sinks {
    sinks: Vec<Sink>,
    default: Vec<String>,
}

/// One line: where, what, and what would be accepted.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SinksError(String);

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct File {
    /// The authorities of all sinks that name none of their own.
    ca_file: Option<Spanned<String>>,
    sinks: Vec<Spanned<Written>>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "kebab-case")]
struct Written {
    name: Spanned<String>,
    r#type: Spanned<String>,
    url_file: Spanned<String>,
    channel: Option<Spanned<String>>,
    #[serde(default)]
    headers: BTreeMap<String, Spanned<String>>,
    phases: Option<Spanned<Vec<Spanned<String>>>>,
    ca_file: Option<Spanned<String>>,
    secret_file: Option<Spanned<String>>,
}

impl Sinks {
    /// `default` are the names that are told where neither Deployment nor namespace says whom.
    pub fn parse(text: &str, default: &[String]) -> Result<Self, SinksError> {
        let file: File = foreign::yaml(text).map_err(|problem| SinksError(format!("not the YAML expected ({problem})")))?;
        if file.sinks.len() > MOST {
            return Err(SinksError(format!("sinks: {} are too many; at most {MOST}", file.sinks.len())));
        }
        let ca_file = file.ca_file.map(|path| absolute(path, None, "ca-file")).transpose()?;
        let mut sinks: Vec<Sink> = Vec::new();
        for written in file.sinks {
            let line = written.referenced.line();
            let mut sink = written.value.sink()?;
            sink.ca_file = sink.ca_file.or_else(|| ca_file.clone());
            if sinks.iter().any(|known| known.name == sink.name) {
                return Err(SinksError(format!("line {line}: name: two sinks are called {:?}", sink.name)));
            }
            sinks.push(sink);
        }
        let found = Self { sinks, default: default.to_vec() };
        match found.unknown(default).first() {
            Some(name) => Err(SinksError(format!("--notify-default: no sink is called {name:?}; there {}", found.known()))),
            None => Ok(found),
        }
    }

    pub fn is_empty(&self) -> bool {
        self.sinks.is_empty()
    }

    pub fn iter(&self) -> impl Iterator<Item = &Sink> {
        self.sinks.iter()
    }

    pub fn get(&self, name: &str) -> Option<&Sink> {
        self.sinks.iter().find(|sink| sink.name == name)
    }

    /// Those of these names that nobody has.
    pub fn unknown<'a>(&self, names: &'a [String]) -> Vec<&'a str> {
        names.iter().map(String::as_str).filter(|name| self.get(name).is_none()).collect()
    }

    /// `is payments` or `are payments, ops`.
    pub fn known(&self) -> String {
        let names: Vec<&str> = self.sinks.iter().map(|sink| sink.name.as_str()).collect();
        match names.len() {
            0 => "is none".to_owned(),
            1 => format!("is {}", names[0]),
            _ => format!("are {}", names.join(", ")),
        }
    }

    /// The sinks that are told of this phase: those that the Deployment names, else the namespace, else the default. Unknown names are left out.
    pub fn chosen(&self, deployment: Option<&[String]>, namespace: Option<&[String]>, phase: Phase) -> Vec<String> {
        let names = deployment.or(namespace).unwrap_or(&self.default);
        let told = |name: &&String| self.get(name).is_some_and(|sink| sink.phases.contains(&phase));
        names.iter().filter(told).cloned().collect()
    }
}

impl Written {
    fn sink(self) -> Result<Sink, SinksError> {
        if !is_name(&self.name.value) {
            let expected = "up to 40 lower case letters, digits and dashes, and not \"none\"";
            return Err(refused(&self.name, None, "name", expected));
        }
        let name = Some(self.name.value.as_str());
        let kind = Kind::ALL.iter().find(|(word, _)| *word == self.r#type.value).map(|(_, kind)| *kind);
        let kind = kind.ok_or_else(|| refused(&self.r#type, name, "type", "slack, teams, discord, googlechat or webhook"))?;
        let url_file = absolute(self.url_file, name, "url-file")?;
        let ca_file = self.ca_file.map(|path| absolute(path, name, "ca-file")).transpose()?;
        if let Some(channel) = &self.channel
            && kind != Kind::Slack
        {
            return Err(refused(channel, name, "channel", "nothing: only slack has one"));
        }
        match (&self.secret_file, kind) {
            (Some(path), Kind::Slack | Kind::Teams | Kind::Discord | Kind::GoogleChat) => {
                return Err(refused(path, name, "secret-file", "nothing: only a webhook is signed"));
            }
            (None, Kind::Webhook) => {
                let expected = "secret-file beside it: a webhook is signed with what that file holds";
                return Err(refused(&self.r#type, name, "type", expected));
            }
            _ => {}
        }
        let secret_file = self.secret_file.map(|path| absolute(path, name, "secret-file")).transpose()?;
        let phases = self.phases.as_ref().map_or_else(|| Ok(PHASES.to_vec()), |phases| phases_of(phases, name))?;
        let headers = headers(&self.headers, name)?;
        Ok(Sink {
            kind,
            url_file,
            channel: self.channel.map(|channel| channel.value),
            headers,
            phases,
            ca_file,
            secret_file,
            name: self.name.value,
        })
    }
}

fn absolute(path: Spanned<String>, name: Option<&str>, field: &str) -> Result<String, SinksError> {
    if path.value.starts_with('/') { Ok(path.value) } else { Err(refused(&path, name, field, "the absolute path of a file")) }
}

/// The value of a header may be a secret, and is never shown.
fn headers(written: &BTreeMap<String, Spanned<String>>, name: Option<&str>) -> Result<Vec<(String, String)>, SinksError> {
    for (header, value) in written {
        let is_token = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
        let fits = !header.is_empty() && header.len() <= 100 && header.bytes().all(is_token);
        let own = ["content-type", "content-length", "host", "user-agent", "transfer-encoding", "connection"];
        let lower = header.to_ascii_lowercase();
        let shown = Spanned::new(header.clone(), value.referenced, value.defined);
        if !fits || own.contains(&lower.as_str()) || lower.starts_with("webhook-") {
            return Err(refused(&shown, name, "headers", "names such as X-Team, and none that the request has itself"));
        }
        if value.value.is_empty() || !value.value.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) {
            return Err(refused(&shown, name, "headers", "a value of visible ASCII characters for each"));
        }
    }
    match written.first_key_value() {
        Some((header, value)) if written.len() > MOST_HEADERS => {
            let shown = Spanned::new(header.clone(), value.referenced, value.defined);
            Err(refused(&shown, name, "headers", "at most 10"))
        }
        _ => Ok(written.iter().map(|(header, value)| (header.clone(), value.value.clone())).collect()),
    }
}

fn phases_of(written: &Spanned<Vec<Spanned<String>>>, name: Option<&str>) -> Result<Vec<Phase>, SinksError> {
    let expected = "Rejected, Inconclusive, AwaitingApproval or Promoted";
    if written.value.is_empty() {
        return Err(refused(&Spanned::new(String::new(), written.referenced, written.defined), name, "phases", expected));
    }
    let parse = |text: &Spanned<String>| {
        let phase = PHASES.into_iter().find(|phase| phase.as_str() == text.value);
        phase.ok_or_else(|| refused(text, name, "phases", expected))
    };
    written.value.iter().map(parse).collect()
}

fn refused(value: &Spanned<String>, sink: Option<&str>, field: &str, expected: &str) -> SinksError {
    let of = sink.map(|name| format!("sink {name}: ")).unwrap_or_default();
    // An address is the secret itself.
    let shown = if value.value.contains("://") { "an address".to_owned() } else { format!("{:?}", within(&value.value, 60)) };
    SinksError(format!("line {}: {of}{field}: {shown} is not accepted; expected {expected}", value.referenced.line()))
}

#[cfg(test)]
mod tests;
