//! PEM files of the swarm's certificates.

use crate::bundle::Bundle;
use crate::swarm::Certificate;
use crate::{Fact, Gap, Need, Seen, Why};
use jiff::Timestamp;
use x509_parser::certificate::X509Certificate;
use x509_parser::pem::Pem;
use x509_parser::prelude::FromDer;
use x509_parser::x509::X509Name;

/// The first certificate of the file: a node's own comes before those that issued it.
pub(super) fn certificate(bundle: &Bundle, artifact: &str) -> Fact<Option<Certificate>> {
    match super::content(bundle, Need::Certificates, artifact) {
        Fact::Seen(Seen { value: Some(pem), source }) => match of_pem(pem) {
            Ok(certificate) => {
                let entry = bundle.entries(Need::Certificates).find(|entry| entry.artifact == artifact);
                let written = entry.and_then(|entry| entry.written);
                Fact::Seen(Seen { value: Some(Certificate { written, ..certificate }), source })
            }
            Err(what) => Fact::Unseen(Gap { source, why: Why::Malformed { line: 0, what } }),
        },
        Fact::Seen(Seen { value: None, source }) => Fact::Seen(Seen { value: None, source }),
        Fact::Unseen(gap) => Fact::Unseen(gap),
    }
}

/// The first certificate of a text.
pub fn of_pem(pem: &[u8]) -> Result<Certificate, String> {
    let pem = Pem::iter_from_buffer(pem).next().ok_or("no PEM block")?.map_err(|error| error.to_string())?;
    of_der(&pem.contents)
}

/// A certificate as it goes over the wire.
pub fn of_der(der: &[u8]) -> Result<Certificate, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    from_x509(&certificate)
}

fn from_x509(certificate: &X509Certificate<'_>) -> Result<Certificate, String> {
    let subject = certificate.subject();
    let at = |seconds| Timestamp::from_second(seconds).map_err(|error| error.to_string());
    Ok(Certificate {
        common_name: first(subject, X509Name::iter_common_name),
        unit: first(subject, X509Name::iter_organizational_unit),
        organisation: first(subject, X509Name::iter_organization),
        not_before: at(certificate.validity().not_before.timestamp())?,
        not_after: at(certificate.validity().not_after.timestamp())?,
        written: None,
    })
}

fn first<'a, I>(name: &'a X509Name<'a>, attributes: impl Fn(&'a X509Name<'a>) -> I) -> String
where
    I: Iterator<Item = &'a x509_parser::x509::AttributeTypeAndValue<'a>>,
{
    attributes(name).next().and_then(|value| value.as_str().ok()).unwrap_or_default().to_owned()
}
