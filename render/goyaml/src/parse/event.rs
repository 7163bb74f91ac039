//! What the parser gives to the composer.

use std::borrow::Cow;

use crate::node::{Comments, Tag};
use crate::scan::{Mark, ScalarStyle};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum EventKind {
    StreamStart,
    StreamEnd,
    DocumentStart,
    DocumentEnd,
    Alias,
    Scalar,
    SequenceStart,
    SequenceEnd,
    MappingStart,
    MappingEnd,
}

#[derive(Debug)]
pub(crate) struct Event<'a> {
    pub(crate) kind: EventKind,
    pub(crate) style: ScalarStyle,
    /// Of a collection.
    pub(crate) flow: bool,
    /// Of a scalar: its type is implied by how it looks.
    pub(crate) plain_implicit: bool,
    pub(crate) start: Mark,
    pub(crate) anchor: Option<Cow<'a, str>>,
    pub(crate) tag: Tag,
    pub(crate) value: Cow<'a, str>,
    pub(crate) comments: Option<Box<Comments>>,
}

impl Event<'_> {
    pub(crate) fn new(kind: EventKind, start: Mark) -> Self {
        Event {
            kind,
            style: ScalarStyle::Plain,
            flow: false,
            plain_implicit: false,
            start,
            anchor: None,
            tag: Tag::None,
            value: Cow::Borrowed(""),
            comments: None,
        }
    }

    /// A value that is not there.
    pub(crate) fn empty_scalar(start: Mark) -> Self {
        Event {
            plain_implicit: true,
            ..Event::new(EventKind::Scalar, start)
        }
    }
}
