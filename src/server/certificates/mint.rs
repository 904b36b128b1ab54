//! Makes keys and certificates: the only place that knows rcgen. When to make them is [`renewal`](super::renewal)'s part.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair, KeyUsagePurpose,
};

use super::material::{Authority, Serving, Validity};

#[derive(Debug, thiserror::Error)]
pub enum Error {
    #[error("failed to make the certificate authority")]
    Authority { source: rcgen::Error },
    #[error("failed to make the serving certificate")]
    Serving { source: rcgen::Error },
}

/// Certificates are valid from long before they were made (2020-01-01): when ours is the clock that is wrong, and months ahead, what it
/// makes must be of use to an API server whose clock is right.
const VALID_SINCE: i64 = 1_577_836_800;

pub(super) fn authority(now: Timestamp, lifetime: SignedDuration) -> Result<Authority, Error> {
    let make = || {
        let key = KeyPair::generate()?;
        let validity = validity(now, lifetime);
        let certificate = authority_parameters(validity).self_signed(&key)?;
        Ok(Authority { certificate: certificate.pem(), key: key.serialize_pem(), validity })
    };
    make().map_err(|source| Error::Authority { source })
}

pub(super) fn serving(authority: &Authority, names: &[String], now: Timestamp, lifetime: SignedDuration) -> Result<Serving, Error> {
    let make = || {
        let issuer = Issuer::new(authority_parameters(authority.validity), KeyPair::from_pem(&authority.key)?);
        let key = KeyPair::generate()?;
        let validity = validity(now, lifetime);
        let mut parameters = CertificateParams::new(names)?;
        parameters.distinguished_name = common_name("coalmine".to_owned());
        parameters.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        parameters.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        parameters.use_authority_key_identifier_extension = true;
        limit(&mut parameters, validity);
        let certificate = parameters.signed_by(&key, &issuer)?;
        let (names, signed_by) = (names.to_vec(), authority.validity.from);
        Ok(Serving { certificate: certificate.pem(), key: key.serialize_pem(), validity, names, signed_by })
    };
    make().map_err(|source| Error::Serving { source })
}

/// Depends on nothing but the stored validity: the issuer of a serving certificate is made from it again.
fn authority_parameters(validity: Validity) -> CertificateParams {
    let mut parameters = CertificateParams::default();
    parameters.distinguished_name = common_name(format!("coalmine authority {}", validity.from.as_second()));
    parameters.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
    parameters.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
    limit(&mut parameters, validity);
    parameters
}

fn common_name(name: String) -> DistinguishedName {
    let mut distinguished_name = DistinguishedName::new();
    distinguished_name.push(DnType::CommonName, name);
    distinguished_name
}

fn validity(now: Timestamp, lifetime: SignedDuration) -> Validity {
    Validity { from: now, until: now.saturating_add(lifetime).unwrap_or(Timestamp::MAX) }
}

fn limit(parameters: &mut CertificateParams, validity: Validity) {
    let since_epoch = |second: i64| rcgen::date_time_ymd(1970, 1, 1) + Duration::from_secs(u64::try_from(second).unwrap_or(0));
    parameters.not_before = since_epoch(validity.from.as_second().min(VALID_SINCE));
    parameters.not_after = since_epoch(validity.until.as_second());
}
