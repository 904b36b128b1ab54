//! One file for each command that has more than a few lines. Here: which one, and those few.

pub(crate) mod completion;
mod dashboard;
mod doctor;
mod explain;
mod lint;
mod read;
mod retry;
mod say;
mod watch;

use anyhow::Result;

use coalmine_core::api::annotations::{PROMOTE, REJECT};

use crate::{
    End,
    args::{Arguments, Connection, Verb},
    cluster::Cluster,
    terminal,
};

pub(crate) async fn run(arguments: Arguments) -> Result<End> {
    let connection = arguments.connection;
    match arguments.verb {
        Verb::List { all_namespaces, selector, output } => {
            read::list(&Cluster::connect(&connection).await?, all_namespaces, selector.as_deref(), output).await
        }
        Verb::Status { name, output } => read::status(&Cluster::connect(&connection).await?, &name, output).await,
        Verb::Diff { name } => read::diff(&Cluster::connect(&connection).await?, &name).await,
        Verb::Explain { name, mut asked } => {
            asked.timeout = connection.request_timeout;
            explain::explain(&Cluster::connect(&connection).await?, &name, &asked).await
        }
        Verb::History { name, output } => read::history(&Cluster::connect(&connection).await?, &name, output).await,
        Verb::Watch { name, timeout } => watch::watch(&Cluster::connect(&connection).await?, &name, timeout).await,
        Verb::Retry { name } => retry::retry(&Cluster::connect(&connection).await?, &name).await,
        Verb::Approve { name, reason } => say::approve(&Cluster::connect(&connection).await?, &name, reason.as_deref()).await,
        Verb::Promote { name, reason } => say::end(&Cluster::connect(&connection).await?, &name, PROMOTE, &reason).await,
        Verb::Reject { name, reason } => say::end(&Cluster::connect(&connection).await?, &name, REJECT, &reason).await,
        Verb::Pause { name } => say::pause(&Cluster::connect(&connection).await?, &name, true).await,
        Verb::Resume { name } => say::pause(&Cluster::connect(&connection).await?, &name, false).await,
        Verb::Freeze { reason } => say::freeze(&Cluster::connect(&connection).await?, Some(&reason)).await,
        Verb::Unfreeze => say::freeze(&Cluster::connect(&connection).await?, None).await,
        Verb::Lint { files } => lint::lint(&files),
        Verb::Doctor => doctor::doctor(&Cluster::connect(&connection).await?).await,
        Verb::Dashboard { installation, port, no_open } => {
            dashboard::dashboard(&connection, &installation, port, !no_open && terminal::is_terminal()).await
        }
        Verb::Completion { shell } => {
            terminal::print(&completion::script(shell));
            Ok(End::Good)
        }
        Verb::Manual { directory } => completion::manual(&directory).map(|()| End::Good),
        Verb::Version { client } => version(&connection, client).await,
    }
}

async fn version(connection: &Connection, client: bool) -> Result<End> {
    terminal::print(&format!("kubectl-coalmine {}", env!("CARGO_PKG_VERSION")));
    if !client {
        let words = doctor::server_version(&Cluster::connect(connection).await?).await?;
        terminal::print(&format!("coalmine {words}"));
    }
    Ok(End::Good)
}
