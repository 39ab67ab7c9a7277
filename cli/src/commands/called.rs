//! Which service a simulated call goes to, and how its requests are signed.

use crate::args::CallArgs;

/// The token that requests are signed with.
pub(super) fn first_token(args: &CallArgs) -> Option<&str> {
    args.auth_token.as_deref().and_then(first_of)
}

/// The first token of a list.
pub(super) fn first_of(tokens: &str) -> Option<&str> {
    tokens.split(',').next().map(str::trim).filter(|token| !token.is_empty())
}

/// The voice-url of a service: `/twiml` where the URL has no path of its own, with the session parameters.
pub(super) fn voice_url(url: &str, params: &[String]) -> Result<String, String> {
    let uri: http::Uri = url.parse().map_err(|_| format!("--url {url} is no URL, e.g. http://127.0.0.1:8080"))?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
        return Err(format!("--url {url} is no URL with http or https, e.g. http://127.0.0.1:8080"));
    }
    let mut whole = if uri.path() == "/" && uri.query().is_none() {
        format!("{}/twiml", url.trim_end_matches('/'))
    } else {
        url.to_owned()
    };
    for param in params {
        let (name, value) =
            param.split_once('=').ok_or_else(|| format!("--param {param} has no '=', e.g. --param shop=north"))?;
        let encoded =
            form_urlencoded::Serializer::new(String::new()).append_pair(&format!("param.{name}"), value).finish();
        whole.push(if whole.contains('?') { '&' } else { '?' });
        whole.push_str(&encoded);
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_services_url_becomes_its_voice_url() {
        let params = ["shop=north side".to_owned(), "n=1".to_owned()];
        assert_eq!(voice_url("http://h:1", &[]).unwrap(), "http://h:1/twiml");
        assert_eq!(voice_url("https://h/", &params).unwrap(), "https://h/twiml?param.shop=north+side&param.n=1");
        assert_eq!(voice_url("https://h/x?agent=a", &params[1..]).unwrap(), "https://h/x?agent=a&param.n=1");
        assert!(voice_url("h:1", &[]).is_err());
        assert!(voice_url("http://h", &["x".to_owned()]).is_err());
    }
}
