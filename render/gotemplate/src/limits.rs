//! What a render may use: Go and Helm have no such limits, and a hub that renders what others wrote needs them.

use std::sync::Arc;

/// Nodes and calls that one render may evaluate. A large public chart takes some 10⁵.
pub const MAX_STEPS: u64 = 50_000_000;
/// Bytes that one render may write, what `include` returns counted each time. The largest public charts write about 10⁷.
pub const MAX_OUTPUT_BYTES: u64 = 256 << 20;
/// Bytes that one render may allocate for values, in total.
pub const MAX_VALUE_BYTES: u64 = 1 << 30;
/// Templates that may be running inside one another. Each takes some kilobytes of stack, which is grown on demand. Go stops at 100,000.
pub const MAX_TEMPLATE_DEPTH: usize = 10_000;
/// Depth of blocks and parentheses in a template's text. People write about ten. Go stops at 10,000 parentheses.
pub const MAX_NESTING: usize = 1_000;
/// Depth of a value that is printed, copied or compared. Go overflows its stack.
pub const MAX_VALUE_DEPTH: usize = 10_000;
/// Bytes of one template's text.
pub const MAX_TEMPLATE_BYTES: usize = 64 << 20;
/// Steps between two questions whether to stop.
const STEPS_PER_INTERRUPT_CHECK: u64 = 4096;

/// The limits of one render. `Default` gives the constants of this module.
#[derive(Clone)]
pub struct Limits {
    /// See [`MAX_STEPS`].
    pub steps: u64,
    /// See [`MAX_OUTPUT_BYTES`].
    pub output_bytes: u64,
    /// See [`MAX_VALUE_BYTES`].
    pub value_bytes: u64,
    /// See [`MAX_TEMPLATE_DEPTH`].
    pub template_depth: usize,
    /// Asked every few thousand steps; `true` stops the render. This is how a caller that has a clock gives a time limit.
    pub interrupt: Option<Arc<dyn Fn() -> bool + Send + Sync>>,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            steps: MAX_STEPS,
            output_bytes: MAX_OUTPUT_BYTES,
            value_bytes: MAX_VALUE_BYTES,
            template_depth: MAX_TEMPLATE_DEPTH,
            interrupt: None,
        }
    }
}

/// A limit was hit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum LimitError {
    /// See [`Limits::steps`].
    #[error("rendering stopped after {0} steps, the limit; a loop or recursion may not end")]
    Steps(u64),
    /// See [`Limits::output_bytes`].
    #[error("rendering stopped: more than {0} bytes of output")]
    Output(u64),
    /// See [`Limits::value_bytes`].
    #[error("rendering stopped: values took more than {0} bytes")]
    Values(u64),
    /// See [`MAX_VALUE_DEPTH`].
    #[error("a value is nested more than {0} levels deep, or contains itself")]
    ValueDepth(usize),
    /// The words are Go's. See [`Limits::template_depth`].
    #[error("exceeded maximum template depth ({0})")]
    TemplateDepth(usize),
    /// The caller's [`Limits::interrupt`] said so.
    #[error("rendering was stopped: it took too long")]
    Interrupted,
}

/// What has been used so far.
pub(crate) struct Meter {
    limits: Limits,
    steps: u64,
    output: u64,
    values: u64,
}

impl Meter {
    pub(crate) fn new(limits: Limits) -> Self {
        Self {
            limits,
            steps: 0,
            output: 0,
            values: 0,
        }
    }

    pub(crate) fn limits(&self) -> &Limits {
        &self.limits
    }

    #[inline]
    pub(crate) fn step(&mut self) -> Result<(), LimitError> {
        self.steps += 1;
        if self.steps > self.limits.steps {
            return Err(LimitError::Steps(self.limits.steps));
        }
        if self.steps.is_multiple_of(STEPS_PER_INTERRUPT_CHECK) {
            return self.check_interrupt();
        }
        Ok(())
    }

    pub(crate) fn steps(&mut self, count: u64) -> Result<(), LimitError> {
        self.steps = self.steps.saturating_add(count);
        if self.steps > self.limits.steps {
            return Err(LimitError::Steps(self.limits.steps));
        }
        if count >= STEPS_PER_INTERRUPT_CHECK {
            self.check_interrupt()
        } else {
            Ok(())
        }
    }

    #[cold]
    fn check_interrupt(&self) -> Result<(), LimitError> {
        match &self.limits.interrupt {
            Some(interrupt) if interrupt() => Err(LimitError::Interrupted),
            _ => Ok(()),
        }
    }

    #[inline]
    pub(crate) fn output(&mut self, bytes: usize) -> Result<(), LimitError> {
        self.output = self.output.saturating_add(bytes as u64);
        if self.output > self.limits.output_bytes {
            Err(LimitError::Output(self.limits.output_bytes))
        } else {
            Ok(())
        }
    }

    /// How many bytes may still be written.
    pub(crate) fn output_left(&self) -> usize {
        usize::try_from(self.limits.output_bytes.saturating_sub(self.output)).unwrap_or(usize::MAX)
    }

    #[inline]
    pub(crate) fn values(&mut self, bytes: u64) -> Result<(), LimitError> {
        self.values = self.values.saturating_add(bytes);
        if self.values > self.limits.value_bytes {
            Err(LimitError::Values(self.limits.value_bytes))
        } else {
            Ok(())
        }
    }

    /// The error of a text that is output and did not fit into what was left.
    pub(crate) fn output_error(&self, error: LimitError) -> LimitError {
        if matches!(error, LimitError::Output(_)) {
            LimitError::Output(self.limits.output_bytes)
        } else {
            error
        }
    }

    /// The error of a text that is a value and did not fit into what was left.
    pub(crate) fn value_error(&self, error: LimitError) -> LimitError {
        if matches!(error, LimitError::Output(_)) {
            LimitError::Values(self.limits.value_bytes)
        } else {
            error
        }
    }

    /// How many bytes of values may still be made.
    pub(crate) fn values_left(&self) -> usize {
        usize::try_from(self.limits.value_bytes.saturating_sub(self.values)).unwrap_or(usize::MAX)
    }
}
