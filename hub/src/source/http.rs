//! Git's smart protocol over our own HTTP client.

use std::{
    io::{self, Read, Write},
    time::Duration,
};

use git2::transport::{Service, SmartSubtransport, SmartSubtransportStream};
use reqwest::{
    blocking::{Client, RequestBuilder, Response},
    header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue},
    redirect::Policy,
};

use super::egress::{self, Egress};

const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// Servers turn clients away that do not look like Git.
const USER_AGENT: &str = concat!("git/2.0 (capstan/", env!("CARGO_PKG_VERSION"), ")");

/// The transport for `http://` and `https://`.
pub(super) struct Http;

impl SmartSubtransport for Http {
    fn action(
        &self,
        url: &str,
        action: Service,
    ) -> Result<Box<dyn SmartSubtransportStream>, git2::Error> {
        let egress = egress::current()?;
        let (service, path, post) = match action {
            Service::UploadPackLs => (
                "git-upload-pack",
                "/info/refs?service=git-upload-pack",
                false,
            ),
            Service::UploadPack => ("git-upload-pack", "/git-upload-pack", true),
            Service::ReceivePackLs => (
                "git-receive-pack",
                "/info/refs?service=git-receive-pack",
                false,
            ),
            Service::ReceivePack => ("git-receive-pack", "/git-receive-pack", true),
        };
        if url != egress.address() {
            return Err(git2::Error::from_str(
                "the address changed in the middle of a fetch",
            ));
        }
        let client = client(&egress).map_err(|it| git2::Error::from_str(&it.to_string()))?;
        Ok(Box::new(Exchange {
            url: format!("{}{path}", url.trim_end_matches('/')),
            client,
            egress,
            service,
            post,
            body: Vec::new(),
            response: None,
        }))
    }

    fn close(&self) -> Result<(), git2::Error> {
        Ok(())
    }
}

fn client(egress: &Egress) -> reqwest::Result<Client> {
    let mut builder = Client::builder()
        .user_agent(USER_AGENT)
        .redirect(Policy::none())
        .connect_timeout(CONNECT_TIMEOUT)
        .timeout(egress.left());
    if let Some(ca) = &egress.credentials.ca {
        for certificate in reqwest::Certificate::from_pem_bundle(ca)? {
            builder = builder.add_root_certificate(certificate);
        }
    }
    builder.build()
}

/// One request and its answer.
struct Exchange {
    url: String,
    client: Client,
    egress: Egress,
    service: &'static str,
    post: bool,
    body: Vec<u8>,
    response: Option<Response>,
}

impl Exchange {
    fn send(&mut self) -> io::Result<Response> {
        let request = if self.post {
            self.client
                .post(&self.url)
                .header(
                    CONTENT_TYPE,
                    format!("application/x-{}-request", self.service),
                )
                .header(ACCEPT, format!("application/x-{}-result", self.service))
                .body(std::mem::take(&mut self.body))
        } else {
            self.client.get(&self.url)
        };
        let failed = |reason: String| {
            self.egress.failed(reason.clone());
            io::Error::other(reason)
        };
        let response = self
            .authorised(request)
            .send()
            .map_err(|it| failed(explain(&it)))?;
        let status = response.status();
        if status.is_redirection() {
            return Err(failed("the server redirects; redirects are not followed, use the address that it redirects to".into()));
        }
        match status.as_u16() {
            200 => Ok(response),
            401 | 403 => Err(failed(format!(
                "the server refuses the credentials, or wants some ({status})"
            ))),
            404 => Err(failed(
                "the server has no such repository, or hides it from these credentials (404)"
                    .into(),
            )),
            _ => Err(failed(format!("the server answers {status}"))),
        }
    }

    fn authorised(&self, request: RequestBuilder) -> RequestBuilder {
        let credentials = &self.egress.credentials;
        if let Some(token) = &credentials.bearer {
            let value = HeaderValue::from_str(&format!("Bearer {}", token.expose_text()));
            return match value {
                Ok(mut value) => {
                    value.set_sensitive(true);
                    request.header(AUTHORIZATION, value)
                }
                Err(_) => request,
            };
        }
        match (&credentials.username, &credentials.password) {
            (None, None) => request,
            (user, password) => {
                let user = user.as_deref().unwrap_or("git");
                request.basic_auth(
                    user,
                    password.as_ref().map(crate::secret::Secret::expose_text),
                )
            }
        }
    }
}

/// An error without the address, which is known and might hold what should not be seen.
fn explain(error: &reqwest::Error) -> String {
    let mut text = match error {
        it if it.is_timeout() => "the server took too long".to_owned(),
        it if it.is_connect() => "no connection to the server".to_owned(),
        _ => "the request failed".to_owned(),
    };
    let mut source = std::error::Error::source(error);
    while let Some(it) = source {
        text = format!("{text}: {it}");
        source = it.source();
    }
    text
}

impl Read for Exchange {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.response.is_none() {
            self.response = Some(self.send()?);
        }
        let response = self.response.as_mut().expect("it was just set");
        let count = response.read(buffer)?;
        self.egress.take(count)?;
        Ok(count)
    }
}

impl Write for Exchange {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.body.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
