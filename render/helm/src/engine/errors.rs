//! Errors of templates as Helm shows them.

use capstan_gotemplate::ExecError;

use crate::context::HelmVersion;
use crate::error::TemplateError;
use crate::functions::{WARN_END, WARN_START};

/// A file that is no template: Helm keeps the place and the last part of Go's text.
pub(super) fn parse_error(file: &str, go: &str) -> TemplateError {
    let mut parts = go.split(": ");
    let message = match (parts.next(), parts.next()) {
        (Some(_), Some(place)) => format!(
            "parse error at ({place}): {}",
            go.rsplit(": ").next().unwrap_or(go)
        ),
        _ => format!("parse error in ({file}): {go}"),
    };
    TemplateError {
        message,
        go: go.to_owned(),
        file: file.to_owned(),
        limit: None,
    }
}

/// A file that failed. What `required` and `fail` say is all that is shown of them; Helm 4 shows the rest line by line.
pub(super) fn exec_error(file: &str, error: &ExecError, version: HelmVersion) -> TemplateError {
    let go = error.to_string();
    let message = reformat(file, &go, version);
    // The marks are for Helm's own use.
    let go = go.replace(WARN_START, "").replace(WARN_END, "");
    TemplateError {
        message,
        go,
        file: file.to_owned(),
        limit: error.limit(),
    }
}

fn reformat(file: &str, go: &str, version: HelmVersion) -> String {
    let mut tokens = go.splitn(3, ": ");
    let (Some(_), Some(place), Some(rest)) = (tokens.next(), tokens.next(), tokens.next()) else {
        return match version {
            HelmVersion::V4 if go.starts_with("template: no template ") => go.to_owned(),
            _ => format!("execution error in ({file}): {go}"),
        };
    };
    if let Some((_, after)) = rest.split_once(WARN_START)
        && let Some((message, _)) = after.rsplit_once(WARN_END)
    {
        return format!("execution error at ({place}): {message}");
    }
    match version {
        HelmVersion::V3 => go.to_owned(),
        HelmVersion::V4 => trace(go).unwrap_or_else(|| go.to_owned()),
    }
}

/// One line for each place on the way to the error. `None` if a part of the way is not a template's: then Helm shows Go's text.
fn trace(go: &str) -> Option<String> {
    let mut frames: Vec<Frame> = Vec::new();
    let mut rest = Some(go);
    while let Some(text) = rest {
        let (frame, next) = Frame::parse(text)?;
        if frames.last() != Some(&frame) {
            frames.push(frame);
        }
        rest = next;
    }
    let text: String = frames.iter().map(Frame::lines).collect();
    Some(text.trim_matches(char::is_whitespace).to_owned())
}

#[derive(PartialEq)]
struct Frame {
    location: String,
    function: String,
    message: String,
}

impl Frame {
    /// Reads the first frame of a text, and gives the text of the error inside it.
    fn parse(text: &str) -> Option<(Self, Option<&str>)> {
        let rest = text.strip_prefix("template: ")?;
        if rest.starts_with("no template ") {
            return Some((
                Self {
                    location: String::new(),
                    function: String::new(),
                    message: text.to_owned(),
                },
                None,
            ));
        }
        let Some((location, after)) = rest.split_once(": executing ") else {
            let (location, message) = rest.rsplit_once(": ")?;
            return Some((
                Self {
                    location: location.to_owned(),
                    function: String::new(),
                    message: cut(message).to_owned(),
                },
                None,
            ));
        };
        let (function, after) = after.strip_prefix('"')?.split_once('"')?;
        let (node, message) = after.strip_prefix(" at <")?.split_once(">: ")?;
        let inner = message
            .strip_prefix("error calling ")
            .and_then(|call| call.split_once(": "))
            .map(|(_, inner)| inner);
        let frame = Self {
            location: location.to_owned(),
            function: format!("executing {function:?} at <{node}>:"),
            message: cut(message).to_owned(),
        };
        Some((frame, inner))
    }

    fn lines(&self) -> String {
        let mut out = String::new();
        if !self.location.is_empty() {
            out.push_str(&format!("{}\n  ", self.location));
        }
        if !self.function.is_empty() {
            out.push_str(&format!("{}\n    ", self.function));
        }
        if !self.message.is_empty() {
            out.push_str(&format!("{}\n", self.message));
        }
        out
    }
}

/// A message without the error of another template behind it.
fn cut(message: &str) -> &str {
    message
        .find(" template:")
        .map_or(message, |at| &message[..at])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parse_errors_keep_place_and_reason() {
        assert_eq!(
            parse_error(
                "f",
                "template: c/templates/t.yaml:1: function \"x\" not defined"
            )
            .message,
            "parse error at (c/templates/t.yaml:1): function \"x\" not defined"
        );
    }

    #[test]
    fn errors_read_as_in_each_version() {
        let go = "template: c/templates/t.yaml:1:3: executing \"c/templates/t.yaml\" at <include \"x\" .>: error calling include: \
                  template: c/templates/_h.tpl:2:5: executing \"x\" at <.Values.a.b>: nil pointer evaluating interface {}.b";
        assert_eq!(reformat("f", go, HelmVersion::V3), go);
        assert_eq!(
            reformat("f", go, HelmVersion::V4),
            "c/templates/t.yaml:1:3\n  executing \"c/templates/t.yaml\" at <include \"x\" .>:\n    error calling include:\n\
             c/templates/_h.tpl:2:5\n  executing \"x\" at <.Values.a.b>:\n    nil pointer evaluating interface {}.b"
        );
        let plain = "template: t:1:3: executing \"t\" at <atoi>: error calling atoi: bad number";
        assert_eq!(reformat("f", plain, HelmVersion::V4), plain);
        let fail = "template: t:1:3: executing \"t\" at <fail \"x\">: error calling fail: HELM_ERR_STARTno: go\nawayHELM_ERR_END";
        assert_eq!(
            reformat("f", fail, HelmVersion::V3),
            "execution error at (t:1:3): no: go\naway"
        );
    }
}
