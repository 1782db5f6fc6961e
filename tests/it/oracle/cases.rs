//! Histories that once told the core and the model apart, cut down to what matters.
