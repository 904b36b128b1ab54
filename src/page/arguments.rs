//! What the command line says about the page.

use std::{net::SocketAddr, str::FromStr};

use clap::{Args, ValueEnum};

#[derive(Args, Clone, Debug)]
pub struct PageArguments {
    /// Where the page and /api/v1/canaries are served (plain HTTP), or `none`. On loopback, kubectl port-forward and kubectl coalmine dashboard reach it
    #[arg(long, env = "COALMINE_PAGE_ADDRESS", default_value = "127.0.0.1:8082")]
    pub page_address: Address,

    /// Whom the page is shown [default: everybody on loopback, `token` elsewhere]
    #[arg(long, env = "COALMINE_PAGE_ACCESS", value_enum)]
    pub page_access: Option<PageAccess>,

    /// A name by which browsers reach the page, besides localhost and addresses; may be given several times
    #[arg(long, env = "COALMINE_PAGE_HOST", value_parser = host)]
    pub page_host: Vec<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PageAccess {
    /// Who shows a token of the cluster sees the Deployments that its owner may get
    Token,
    /// Everybody who reaches the address sees everything
    None,
}

/// An address, or none.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Address(pub Option<SocketAddr>);

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "none" {
            return Ok(Self(None));
        }
        text.parse()
            .map(|address| Self(Some(address)))
            .map_err(|_| "expected an address and a port, as in 127.0.0.1:8082, or none".to_owned())
    }
}

fn host(text: &str) -> Result<String, String> {
    let is_letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.');
    let is_name = !text.is_empty() && text.bytes().all(is_letter);
    if is_name { Ok(text.to_ascii_lowercase()) } else { Err("expected a name without a port, as in coalmine.example".to_owned()) }
}

/// What follows from the arguments.
#[derive(Clone, Debug)]
pub struct Settings {
    pub address: SocketAddr,
    pub access: PageAccess,
    pub hosts: Vec<String>,
}

impl PageArguments {
    /// `None` where there shall be no page.
    pub fn settings(&self) -> Option<Settings> {
        let address = self.page_address.0?;
        let usual = if address.ip().is_loopback() { PageAccess::None } else { PageAccess::Token };
        Some(Settings { address, access: self.page_access.unwrap_or(usual), hosts: self.page_host.clone() })
    }
}

impl Settings {
    pub fn is_open(&self) -> bool {
        !self.address.ip().is_loopback()
    }

    /// Said at start: who may see what.
    pub fn words(&self) -> String {
        let (address, is_open) = (self.address, self.is_open());
        match self.access {
            PageAccess::Token => format!("the page is served on {address} to who shows a token"),
            PageAccess::None if is_open => format!(
                "the page is served on {address} to everybody who reaches it, with the templates of all opted-in Deployments \
                 (--page-access=none); --page-access=token asks the cluster who may see what"
            ),
            PageAccess::None => format!("the page is served on {address}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;
    use rstest::rstest;

    use super::*;

    #[derive(Debug, Parser)]
    struct Line {
        #[command(flatten)]
        page: PageArguments,
    }

    fn words(arguments: &[&str]) -> String {
        let line = Line::try_parse_from([&["coalmine"], arguments].concat()).unwrap();
        line.page.settings().map_or_else(|| "no page".to_owned(), |settings| settings.words())
    }

    #[test]
    fn nobody_but_this_machine_sees_it_without_being_asked_for_a_token() {
        let all = [
            words(&[]),
            words(&["--page-address=none"]),
            words(&["--page-address=[::1]:1"]),
            words(&["--page-address=[::]:8082"]),
            words(&["--page-address=[::]:8082", "--page-access=none"]),
            words(&["--page-access=token"]),
        ];
        insta::assert_snapshot!(all.join("\n"), @r"
        the page is served on 127.0.0.1:8082
        no page
        the page is served on [::1]:1
        the page is served on [::]:8082 to who shows a token
        the page is served on [::]:8082 to everybody who reaches it, with the templates of all opted-in Deployments (--page-access=none); --page-access=token asks the cluster who may see what
        the page is served on 127.0.0.1:8082 to who shows a token
        ");
    }

    #[rstest]
    #[case("--page-address=8082")]
    #[case("--page-address=")]
    #[case("--page-access=everybody")]
    #[case("--page-host=coalmine.example:80")]
    #[case("--page-host=")]
    fn refuses(#[case] argument: &str) {
        assert!(Line::try_parse_from(["coalmine", argument]).is_err());
    }
}
