//! What can be typed. kubectl's own flags keep kubectl's names and meanings.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser, Subcommand, ValueEnum};
use coalmine_core::api::{gates::LONGEST_REASON, quantity::parse_duration};

#[derive(Debug, Parser)]
#[command(name = "kubectl coalmine", bin_name = "kubectl coalmine", version, about = "See, wait for and steer canaries")]
pub(crate) struct Arguments {
    #[command(flatten)]
    pub(crate) connection: Connection,
    #[command(subcommand)]
    pub(crate) verb: Verb,
}

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Flags as kubectl has them")]
pub(crate) struct Connection {
    /// The namespace; default: that of the context
    #[arg(short, long, global = true)]
    pub(crate) namespace: Option<String>,
    #[arg(long, global = true, value_name = "FILE")]
    pub(crate) kubeconfig: Option<PathBuf>,
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) context: Option<String>,
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) cluster: Option<String>,
    #[arg(long, global = true, value_name = "NAME")]
    pub(crate) user: Option<String>,
    /// Act as this user
    #[arg(long = "as", global = true, value_name = "USER")]
    pub(crate) impersonate: Option<String>,
    /// Act as a member of this group; may be repeated
    #[arg(long = "as-group", global = true, value_name = "GROUP")]
    pub(crate) groups: Vec<String>,
    /// How long one request may take, such as 10s, or 10; 0: for ever
    #[arg(long, global = true, value_name = "DURATION", value_parser = request_timeout, default_value = "30s")]
    pub(crate) request_timeout: RequestTimeout,
}

/// Who is asked for what would be read. Default: the pods' own metrics pages, by way of the API server
#[derive(Debug, Clone, Args)]
pub(crate) struct Asked {
    /// A Prometheus that can be reached from here, such as `http://localhost:9090`
    #[arg(long, value_name = "URL", conflicts_with = "prometheus_service")]
    pub(crate) prometheus_url: Option<String>,
    /// A Prometheus behind a Service, by way of the API server, such as monitoring/prometheus:9090
    #[arg(long, value_name = "NAMESPACE/NAME:PORT")]
    pub(crate) prometheus_service: Option<String>,
    #[arg(skip)]
    pub(crate) timeout: RequestTimeout,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Verb {
    /// All opted-in Deployments, a line each
    List {
        /// In every namespace
        #[arg(short = 'A', long)]
        all_namespaces: bool,
        /// Only those with these labels, such as app=shop
        #[arg(short = 'l', long, value_name = "LABELS")]
        selector: Option<String>,
        #[command(flatten)]
        output: Output,
    },
    /// One Deployment: the phase, the verdict, and the tree down to the pods
    Status {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// Watch one Deployment until the verdict; ends with 0 promoted or nothing held, 2 rejected, 3 inconclusive, 4 timed out, 5 waits for approval
    Watch {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
        /// Stop watching after that long (exit code 4); default: never
        #[arg(long, value_name = "DURATION", value_parser = duration)]
        timeout: Option<Duration>,
    },
    /// The live template beside the held one, as a unified diff of YAML
    Diff {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
    },
    /// What is read, what is missing and why it waits: the newest word of each kind about the trial; without one, what would be read, and
    /// whether the traffic could ever show the limit
    Explain {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
        #[command(flatten)]
        asked: Asked,
    },
    /// The last verdicts, newest first: what was tried, what was counted, who applied it
    History {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
        #[command(flatten)]
        output: Output,
    },
    /// Try a template that was kept out once more
    Retry {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
    },
    /// Agree to the template on trial, which waits for somebody to
    Approve {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
        /// Why, for the record
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        reason: Option<String>,
    },
    /// End the trial and let the template in
    Promote {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
        /// Why, for the record
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        reason: String,
    },
    /// End the trial and keep the template out
    Reject {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
        /// Why, for the record
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        reason: String,
    },
    /// Let a trial stand still: its clock stops, and nothing but a gross failure counts
    Pause {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
    },
    /// Let it go on; its traffic is judged anew
    Resume {
        #[arg(value_name = "DEPLOYMENT", value_parser = deployment)]
        name: String,
    },
    /// Try and promote nothing in the namespace until it is unfrozen; trials that run end
    Freeze {
        /// Why, for whoever waits
        #[arg(long, value_name = "WORDS", value_parser = reason)]
        reason: String,
    },
    /// Try what is held in the namespace
    Unfreeze,
    /// Check manifests as admission would, without a cluster: 0 all are accepted, 1 one is refused
    Lint {
        /// A file of YAML or JSON, or - for standard input; may be repeated
        #[arg(short, long = "filename", required = true, value_name = "FILE")]
        files: Vec<PathBuf>,
    },
    /// Is Coalmine there, does its webhook answer, and is it healthy?
    Doctor,
    /// The page of a replica, at an address of this machine alone, until it is interrupted
    Dashboard {
        /// Where Coalmine is installed
        #[arg(long, value_name = "NAMESPACE", default_value = "coalmine")]
        installation: String,
        /// The port on this machine; 0: any that is free
        #[arg(long, default_value_t = 0)]
        port: u16,
        /// Print the address and open no browser
        #[arg(long)]
        no_open: bool,
    },
    /// A script that makes the shell complete `kubectl-coalmine`
    Completion { shell: clap_complete::Shell },
    /// Write the manual's pages into a directory, for packagers
    #[command(hide = true)]
    Manual { directory: PathBuf },
    /// The version of this program, and of Coalmine in the cluster
    Version {
        /// Ask no cluster
        #[arg(long)]
        client: bool,
    },
}

#[derive(Debug, Clone, Copy, Args)]
pub(crate) struct Output {
    /// How to print
    #[arg(short = 'o', long = "output", value_enum, value_name = "FORMAT")]
    pub(crate) format: Option<Format>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Format {
    Json,
    Yaml,
    Name,
    Wide,
}

fn duration(text: &str) -> Result<Duration, String> {
    parse_duration(text).ok_or_else(|| "expected a duration such as 90s, 5m or 1h".to_owned())
}

/// `None`: no limit. A name of its own, since an option of a duration would be read as an argument that may be missing.
pub(crate) type RequestTimeout = Option<Duration>;

/// As kubectl reads it: a number without a unit is seconds.
fn request_timeout(text: &str) -> Result<RequestTimeout, String> {
    let limit = text.parse().map(Duration::from_secs).or_else(|_| duration(text))?;
    Ok((!limit.is_zero()).then_some(limit))
}

fn reason(text: &str) -> Result<String, String> {
    let fits = !text.trim().is_empty() && text.chars().count() <= LONGEST_REASON;
    if fits { Ok(text.to_owned()) } else { Err(format!("expected a reason in words, up to {LONGEST_REASON} characters")) }
}

/// `app`, `deploy/app` and `deployment.apps/app` are the same, as for kubectl.
fn deployment(text: &str) -> Result<String, String> {
    let name = match text.split_once('/') {
        None => text,
        Some(("deploy" | "deployment" | "deployments" | "deployment.apps" | "deployments.apps", name)) => name,
        Some((kind, _)) => return Err(format!("only Deployments have canaries, not {kind}")),
    };
    if name.is_empty() { Err("expected the name of a Deployment".to_owned()) } else { Ok(name.to_owned()) }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Arguments::command().debug_assert();
    }

    #[test]
    fn a_request_takes_as_long_as_for_kubectl() {
        let limit = |text| request_timeout(text).map(|limit| limit.map(|limit| limit.as_secs()));
        assert_eq!([limit("5"), limit("2m"), limit("0"), limit("0s")], [Ok(Some(5)), Ok(Some(120)), Ok(None), Ok(None)]);
        assert_eq!(limit("soon").unwrap_err(), "expected a duration such as 90s, 5m or 1h");
    }

    #[test]
    fn a_deployment_is_named_as_for_kubectl() {
        for text in ["app", "deploy/app", "deployment/app", "deployments.apps/app"] {
            assert_eq!(deployment(text).as_deref(), Ok("app"));
        }
        assert_eq!(deployment("statefulset/app").unwrap_err(), "only Deployments have canaries, not statefulset");
        assert_eq!(deployment("deploy/").unwrap_err(), "expected the name of a Deployment");
    }
}
