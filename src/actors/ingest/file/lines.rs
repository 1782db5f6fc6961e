//! Lines out of big blocks: the text is looked at where it was read, never copied line by line.

use memchr::memchr;
use std::io::{self, Read};
use std::ops::Range;

/// Bytes asked for at once. Smaller blocks cost system calls, larger ones fall out of the processor's second-level cache.
const BLOCK_LEN: usize = 256 * 1024;
/// A longer line is no row: without a limit one file without line ends would be read into memory whole.
pub(super) const LINE_LEN_MAX: usize = 1024 * 1024;
/// How much of a longer line is kept for people to look at.
pub(super) const EXCERPT_LEN: usize = 4 * 1024;

/// One line without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line<'a> {
    /// The whole line.
    Whole(&'a [u8]),
    /// The beginning of a line that is longer than [`LINE_LEN_MAX`].
    TooLong(&'a [u8]),
}

/// Splits a byte stream into lines. After an error the lines before it have all been given out; a line that the error
/// cut short is never given out.
pub(super) struct LineReader {
    input: Box<dyn Read + Send>,
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    at_end: bool,
    failure: Option<io::Error>,
}

enum Found {
    Whole(Range<usize>),
    TooLong,
}

impl LineReader {
    pub(super) fn new(input: Box<dyn Read + Send>) -> LineReader {
        LineReader { input, buffer: vec![0; BLOCK_LEN], start: 0, end: 0, at_end: false, failure: None }
    }

    /// Returns the next line, or `None` at the end of the input.
    #[inline]
    pub(super) fn next_line(&mut self) -> io::Result<Option<Line<'_>>> {
        let found = match memchr(b'\n', &self.buffer[self.start..self.end]) {
            Some(len) if len <= LINE_LEN_MAX => {
                let range = self.start..self.start + len;
                self.start += len + 1;
                Some(Found::Whole(range))
            }
            _ => self.find_beyond()?,
        };
        Ok(found.map(|found| match found {
            Found::Whole(range) => Line::Whole(trim_end(&self.buffer[range])),
            Found::TooLong => Line::TooLong(&self.buffer[..EXCERPT_LEN]),
        }))
    }

    /// Returns the first bytes of the input without taking them.
    pub(super) fn peek(&mut self) -> &[u8] {
        while self.end - self.start < EXCERPT_LEN && !self.at_end {
            self.fill();
        }
        &self.buffer[self.start..self.end]
    }

    /// Drops bytes that [`LineReader::peek`] has shown.
    pub(super) fn drop_front(&mut self, len: usize) {
        self.start = (self.start + len).min(self.end);
    }

    /// Finds the end of a line that the buffer does not hold whole.
    #[cold]
    fn find_beyond(&mut self) -> io::Result<Option<Found>> {
        let mut searched = 0;
        loop {
            if let Some(at) = memchr(b'\n', &self.buffer[self.start + searched..self.end]) {
                let range = self.start..self.start + searched + at;
                self.start = range.end + 1;
                return Ok(Some(if range.len() > LINE_LEN_MAX {
                    self.keep_excerpt(range.start);
                    Found::TooLong
                } else {
                    Found::Whole(range)
                }));
            }
            searched = self.end - self.start;
            if searched > LINE_LEN_MAX {
                self.keep_excerpt(self.start);
                self.skip_line();
                return Ok(Some(Found::TooLong));
            }
            if self.at_end {
                if let Some(failure) = self.failure.take() {
                    self.start = self.end;
                    return Err(failure);
                }
                if searched == 0 {
                    return Ok(None);
                }
                let range = self.start..self.end;
                self.start = self.end;
                return Ok(Some(Found::Whole(range)));
            }
            self.fill();
        }
    }

    /// Reads one more block behind what is still there.
    fn fill(&mut self) {
        self.buffer.copy_within(self.start..self.end, 0);
        self.end -= self.start;
        self.start = 0;
        if self.buffer.len() - self.end < BLOCK_LEN / 2 {
            self.buffer.resize(self.buffer.len() + BLOCK_LEN, 0);
        }
        loop {
            match self.input.read(&mut self.buffer[self.end..]) {
                Ok(0) => self.at_end = true,
                Ok(len) => self.end += len,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => {
                    self.failure = Some(error);
                    self.at_end = true;
                }
            }
            return;
        }
    }

    /// Moves the beginning of an overlong line to where [`Line::TooLong`] is taken from.
    fn keep_excerpt(&mut self, from: usize) {
        self.buffer.copy_within(from..from + EXCERPT_LEN, 0);
    }

    /// Drops everything up to and including the next line end, in a part of the buffer that the excerpt does not use.
    fn skip_line(&mut self) {
        self.start = self.end;
        while !self.at_end {
            let room = EXCERPT_LEN..self.buffer.len();
            match self.input.read(&mut self.buffer[room.clone()]) {
                Ok(0) => self.at_end = true,
                Ok(len) => {
                    self.end = room.start + len;
                    self.start = self.end;
                    if let Some(at) = memchr(b'\n', &self.buffer[room.start..self.end]) {
                        self.start = room.start + at + 1;
                        return;
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => {
                    self.failure = Some(error);
                    self.at_end = true;
                }
            }
        }
    }
}

/// Takes off the carriage return of a line that ends as on Windows.
#[inline]
fn trim_end(line: &[u8]) -> &[u8] {
    match line {
        [rest @ .., b'\r'] => rest,
        _ => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Gives out a text in pieces of a few bytes, then fails if told to.
    struct Pieces {
        text: Vec<u8>,
        at: usize,
        piece: usize,
        fails: bool,
    }

    impl Read for Pieces {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            let len = self.piece.min(self.text.len() - self.at).min(buffer.len());
            if len == 0 && self.fails {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
            buffer[..len].copy_from_slice(&self.text[self.at..self.at + len]);
            self.at += len;
            Ok(len)
        }
    }

    fn lines(text: &[u8], piece: usize, fails: bool) -> (Vec<(bool, Vec<u8>)>, bool) {
        let mut reader = LineReader::new(Box::new(Pieces { text: text.to_vec(), at: 0, piece, fails }));
        let mut found = Vec::new();
        loop {
            match reader.next_line() {
                Ok(Some(Line::Whole(line))) => found.push((true, line.to_vec())),
                Ok(Some(Line::TooLong(line))) => found.push((false, line.to_vec())),
                Ok(None) => return (found, false),
                Err(_) => return (found, true),
            }
        }
    }

    #[test]
    fn a_line_that_a_failure_cut_short_is_not_given_out() {
        let (found, failed) = lines(b"one\r\ntwo\nthr", 2, true);
        assert!(failed);
        assert_eq!(found, [(true, b"one".to_vec()), (true, b"two".to_vec())]);
        assert_eq!(lines(b"one\ntwo", 2, false).0.len(), 2, "without a failure the last line needs no end");
    }

    #[test]
    fn an_overlong_line_is_cut_and_the_next_one_is_whole() {
        for (len, whole) in [(LINE_LEN_MAX, true), (LINE_LEN_MAX + 1, false), (3 * LINE_LEN_MAX, false)] {
            for piece in [4_001, usize::MAX] {
                let mut text = vec![b'x'; len];
                text.extend_from_slice(b"\nnext\n");
                let (found, failed) = lines(&text, piece, false);
                assert!(!failed);
                assert_eq!((found.len(), found[0].0), (2, whole), "{len} bytes");
                assert!(found[0].1.iter().all(|&byte| byte == b'x'));
                assert_eq!(found[1], (true, b"next".to_vec()));
            }
        }
    }

    proptest! {
        #[test]
        fn lines_are_those_of_split(text in "[ab\n]{0,200}", piece in 1_usize..50) {
            let mut expected: Vec<&str> = text.split('\n').collect();
            if expected.last() == Some(&"") {
                expected.pop();
            }
            let (found, _) = lines(text.as_bytes(), piece, false);
            let found: Vec<String> = found.into_iter().map(|(_, line)| String::from_utf8(line).expect("ascii")).collect();
            prop_assert_eq!(found, expected);
        }
    }
}
