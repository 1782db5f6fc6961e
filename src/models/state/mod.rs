//! The core: everything that is known about one symbol, and how an entry changes it.
