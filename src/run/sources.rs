//! The sources of metrics, set up as the command line says.

use std::sync::Arc;

use anyhow::Context as _;

use crate::args::Arguments;
use crate::sources::{Source, datadog, prometheus};

pub(super) fn datadog_source(arguments: &Arguments) -> anyhow::Result<Option<Arc<dyn Source>>> {
    let keys = arguments.datadog_api_key_file.clone().zip(arguments.datadog_application_key_file.clone());
    let Some((api_key_file, application_key_file)) = keys else { return Ok(None) };
    let (url, ca_file) = (arguments.datadog_url.to_string(), arguments.datadog_ca_file.clone());
    let settings = datadog::Settings { url, api_key_file, application_key_file, ca_file };
    let source = datadog::Datadog::new(settings).context("failed to set up the Datadog client")?;
    Ok(Some(Arc::new(source)))
}

pub(super) fn prometheus_settings(arguments: &Arguments) -> Option<prometheus::Settings> {
    let url = arguments.prometheus_url.as_ref()?.to_string();
    Some(prometheus::Settings {
        bearer_token_file: arguments.prometheus_bearer_token_file.clone(),
        basic_auth: arguments.prometheus_username.clone().zip(arguments.prometheus_password_file.clone()),
        ca_file: arguments.prometheus_ca_file.clone(),
        client_certificate: arguments.prometheus_certificate_file.clone().zip(arguments.prometheus_key_file.clone()),
        headers: arguments.prometheus_header.clone(),
        matchers: arguments.prometheus_matcher.clone(),
        pod_label: arguments.prometheus_pod_label.clone(),
        ..prometheus::Settings::new(url)
    })
}
