//! A story: requests in order, as text.
//!
//! ```text
//! ### what it shows
//! @a = POST /api/v1/namespaces/$ns/configmaps
//! Impersonate-User: bob
//! {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "a"}}
//!
//! GET /api/v1/namespaces/$ns/configmaps?resourceVersion={{a:/metadata/resourceVersion}}
//! ```
//!
//! A request is a verb and a path, then header lines, then a JSON body, until an empty line. `$ns` is a namespace that only this story
//! uses; `{{name:/pointer}}` is a value out of the answer to the request called `@name`. Lines with `#` are comments.

/// Requests that belong together.
#[derive(Debug)]
pub(crate) struct Story {
    pub(crate) title: String,
    pub(crate) requests: Vec<Request>,
}

/// One request.
#[derive(Debug, Default)]
pub(crate) struct Request {
    /// What later requests call its answer.
    pub(crate) name: Option<String>,
    pub(crate) verb: String,
    pub(crate) path: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

/// Parses a file of stories. A mistake in it is a mistake of the test, so it panics.
pub(crate) fn parse(text: &str) -> Vec<Story> {
    let mut stories: Vec<Story> = Vec::new();
    let mut open = false;
    for line in text.lines().map(str::trim_end) {
        if let Some(title) = line.strip_prefix("### ") {
            stories.push(Story {
                title: title.to_owned(),
                requests: Vec::new(),
            });
            open = false;
        } else if line.is_empty() {
            open = false;
        } else if !line.starts_with('#') {
            let story = stories.last_mut().expect("a file begins with a title");
            if open {
                story.requests.last_mut().expect("it is open").add(line);
            } else {
                story.requests.push(Request::begin(line));
                open = true;
            }
        }
    }
    stories
}

impl Request {
    fn begin(line: &str) -> Self {
        let (name, rest) = match line.strip_prefix('@') {
            Some(named) => {
                let (name, rest) = named
                    .split_once(" = ")
                    .unwrap_or_else(|| panic!("`@name = VERB path` expected: {line}"));
                (Some(name.to_owned()), rest)
            }
            None => (None, line),
        };
        let (verb, path) = rest
            .split_once(' ')
            .unwrap_or_else(|| panic!("`VERB path` expected: {line}"));
        Self {
            name,
            verb: verb.to_owned(),
            path: path.trim().to_owned(),
            ..Self::default()
        }
    }

    fn add(&mut self, line: &str) {
        match line.split_once(": ") {
            Some((name, value))
                if self.body.is_empty()
                    && name.chars().all(|c| c.is_ascii_alphanumeric() || c == '-') =>
            {
                self.headers.push((name.to_owned(), value.to_owned()));
            }
            _ => {
                self.body.push_str(line);
                self.body.push('\n');
            }
        }
    }
}

/// A namespace for the story: its title as a name.
pub(crate) fn namespace(title: &str) -> String {
    let name: String = title
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
        .take(50)
        .collect();
    name.trim_matches('-').to_owned()
}
