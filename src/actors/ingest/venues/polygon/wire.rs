//! Reads the frames of the stream: an array of flat objects, each of one event.
//!
//! A reader of our own and no derived one, since a busy socket brings tens of thousands of trades a second: it walks a
//! frame once, allocates nothing, and leaves every value as the text that stands there, so that no number goes through
//! floating point. Keys come in any order and mean different things in different events; so all of them are collected
//! first, and what an event is decides then.
//!
//! Promises: no text makes it panic. What is not JSON is an error that says where; of values that nobody reads (nested
//! ones, of unknown keys) only the extent is checked.

use std::borrow::Cow;

/// The text is not JSON from here on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("not JSON at byte {at}")]
pub(super) struct Malformed {
    at: usize,
}

/// The values of an event, as they stand: texts without their quotes, `null` and what is missing as an empty text.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Event<'a> {
    /// What it is.
    pub ev: &'a str,
    /// Ticker.
    pub sym: &'a str,
    /// Pair, in events of crypto and in bars of forex.
    pub pair: &'a str,
    /// Price; of a forex quote the pair.
    pub p: &'a str,
    /// Size; of a bar the start.
    pub s: &'a str,
    /// Size with its fraction.
    pub ds: &'a str,
    /// Conditions of a trade; of a bar the close.
    pub c: &'a str,
    /// Time.
    pub t: &'a str,
    /// Sequence.
    pub q: &'a str,
    /// Exchange.
    pub x: &'a str,
    /// Id of a trade.
    pub i: &'a str,
    /// Trade reporting facility.
    pub trfi: &'a str,
    /// Ask of a forex quote.
    pub a: &'a str,
    /// Bid of a forex quote.
    pub b: &'a str,
    /// Ask.
    pub ap: &'a str,
    /// Bid.
    pub bp: &'a str,
    /// Size at the ask.
    pub ask_size: &'a str,
    /// Size at the bid.
    pub bid_size: &'a str,
    /// Open.
    pub o: &'a str,
    /// High.
    pub h: &'a str,
    /// Low.
    pub l: &'a str,
    /// Volume of a bar.
    pub v: &'a str,
    /// Volume of a bar with its fraction.
    pub dv: &'a str,
    /// Mean price of a bar.
    pub vw: &'a str,
    /// Word of a status.
    pub status: &'a str,
    /// Text of a status.
    pub message: &'a str,
}

impl<'a> Event<'a> {
    fn set(&mut self, key: &str, value: &'a str) {
        let field = match key.as_bytes() {
            b"ev" => &mut self.ev,
            b"sym" => &mut self.sym,
            b"pair" => &mut self.pair,
            b"p" => &mut self.p,
            b"s" => &mut self.s,
            b"ds" => &mut self.ds,
            b"c" => &mut self.c,
            b"t" => &mut self.t,
            b"q" => &mut self.q,
            b"x" => &mut self.x,
            b"i" => &mut self.i,
            b"trfi" => &mut self.trfi,
            b"a" => &mut self.a,
            b"b" => &mut self.b,
            b"ap" => &mut self.ap,
            b"bp" => &mut self.bp,
            b"as" => &mut self.ask_size,
            b"bs" => &mut self.bid_size,
            b"o" => &mut self.o,
            b"h" => &mut self.h,
            b"l" => &mut self.l,
            b"v" => &mut self.v,
            b"dv" => &mut self.dv,
            b"vw" => &mut self.vw,
            b"status" => &mut self.status,
            b"message" => &mut self.message,
            _ => return,
        };
        *field = value;
    }
}

/// Calls `take` for each event of a frame, an array of events or a single one.
///
/// # Errors
/// [`Malformed`] where the text stops being JSON of that form; the events before have been taken by then.
pub(super) fn events<'a>(text: &'a str, mut take: impl FnMut(&Event<'a>)) -> Result<(), Malformed> {
    let mut scanner = Scanner { text, at: 0 };
    if scanner.next() == Some(b'{') {
        take(&scanner.event()?);
        return scanner.end();
    }
    scanner.expect(b'[')?;
    if scanner.next() == Some(b']') {
        scanner.at += 1;
        return scanner.end();
    }
    loop {
        take(&scanner.event()?);
        match scanner.next() {
            Some(b',') => scanner.at += 1,
            Some(b']') => break,
            _ => return Err(scanner.malformed()),
        }
    }
    scanner.at += 1;
    scanner.end()
}

/// Returns a text without its escapes. Hardly any text has some: only then a copy is made.
pub(super) fn plain(text: &str) -> Cow<'_, str> {
    if !text.contains('\\') {
        return Cow::Borrowed(text);
    }
    // An escape that means nothing stays as it stands: the text is shown, or no symbol's name.
    serde_json::from_str(&format!("\"{text}\"")).map_or(Cow::Borrowed(text), Cow::Owned)
}

/// Walks over a text.
struct Scanner<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Scanner<'a> {
    const fn malformed(&self) -> Malformed {
        Malformed { at: self.at }
    }

    /// Returns the next byte that is no white space, without taking it.
    fn next(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        loop {
            match bytes.get(self.at)? {
                b' ' | b'\n' | b'\r' | b'\t' => self.at += 1,
                &byte => return Some(byte),
            }
        }
    }

    fn expect(&mut self, byte: u8) -> Result<(), Malformed> {
        if self.next() != Some(byte) {
            return Err(self.malformed());
        }
        self.at += 1;
        Ok(())
    }

    fn end(&mut self) -> Result<(), Malformed> {
        if self.next().is_none() { Ok(()) } else { Err(self.malformed()) }
    }

    fn event(&mut self) -> Result<Event<'a>, Malformed> {
        let mut event = Event::default();
        self.expect(b'{')?;
        if self.next() == Some(b'}') {
            self.at += 1;
            return Ok(event);
        }
        loop {
            self.expect(b'"')?;
            let key = self.string()?;
            self.expect(b':')?;
            let value = self.value()?;
            event.set(key, value);
            match self.next() {
                Some(b',') => self.at += 1,
                Some(b'}') => break,
                _ => return Err(self.malformed()),
            }
        }
        self.at += 1;
        Ok(event)
    }

    /// Takes a text up to its closing quote; the opening one is taken already.
    fn string(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.text.as_bytes();
        let start = self.at;
        loop {
            match bytes.get(self.at) {
                Some(b'"') => break,
                Some(b'\\') => self.at += 2,
                Some(0x20..) => self.at += 1,
                _ => return Err(self.malformed()),
            }
        }
        // Both ends stand beside a quote, so the slice is on the borders of characters.
        let text = self.text.get(start..self.at).ok_or(self.malformed())?;
        self.at += 1;
        Ok(text)
    }

    /// Takes a value of any kind.
    fn value(&mut self) -> Result<&'a str, Malformed> {
        match self.next() {
            Some(b'"') => {
                self.at += 1;
                self.string()
            }
            Some(b'[' | b'{') => self.nested(),
            Some(b'-' | b'0'..=b'9') => Ok(self.bare()),
            _ => {
                let start = self.malformed();
                match self.bare() {
                    "null" => Ok(""),
                    word @ ("true" | "false") => Ok(word),
                    _ => Err(start),
                }
            }
        }
    }

    /// Takes a number or a word: what stands before the next mark or white space.
    fn bare(&mut self) -> &'a str {
        let bytes = self.text.as_bytes();
        let start = self.at;
        while bytes.get(self.at).is_some_and(|byte| {
            !matches!(byte, b',' | b'}' | b']' | b' ' | b'\n' | b'\r' | b'\t' | b':' | b'"' | b'[' | b'{')
        }) {
            self.at += 1;
        }
        &self.text[start..self.at]
    }

    /// Takes an array or an object with all that is in it.
    fn nested(&mut self) -> Result<&'a str, Malformed> {
        let bytes = self.text.as_bytes();
        let (start, mut depth) = (self.at, 0_usize);
        loop {
            let byte = *bytes.get(self.at).ok_or(self.malformed())?;
            self.at += 1;
            match byte {
                b'[' | b'{' => depth += 1,
                b']' | b'}' => depth -= 1,
                b'"' => {
                    self.string()?;
                }
                _ => {}
            }
            if depth == 0 {
                return Ok(&self.text[start..self.at]);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read(text: &str) -> Result<Vec<Event<'_>>, Malformed> {
        let mut found = Vec::new();
        events(text, |event| found.push(*event)).map(|()| found)
    }

    #[test]
    fn values_stand_as_they_are_written() {
        let text = r#" [ {"ev":"T","sym":"MSFT" , "p" : 414.1250,"s":1e2,"c":[12, 37],"i":"7","x":4,"t":17,"ds":"100.0","trfi":null},
            {"p":"A\"}\\","nested":{"a":[1,{"b":"]}"}],"c":2},"yes":true,"no":false,"ev":"X"} ] "#;
        let first = Event {
            ev: "T",
            sym: "MSFT",
            p: "414.1250",
            s: "1e2",
            c: "[12, 37]",
            i: "7",
            x: "4",
            t: "17",
            ds: "100.0",
            ..Event::default()
        };
        let second = Event { ev: "X", p: r#"A\"}\\"#, ..Event::default() };
        assert_eq!(read(text), Ok(vec![first, second]));
        assert_eq!(read("[]"), Ok(vec![]));
        assert_eq!(read(" [ ] "), Ok(vec![]));
        assert_eq!(read("{}"), Ok(vec![Event::default()]), "one event without its array");
        assert_eq!(plain("EUR\\/USD"), "EUR/USD");
        assert_eq!(
            (plain("MSFT"), plain("bad \\escape")),
            (Cow::Borrowed("MSFT"), Cow::Borrowed("bad \\escape"))
        );
    }

    #[test]
    fn what_is_not_json_says_where() {
        for (text, at) in [
            ("", 0),
            ("x", 0),
            ("[", 1),
            ("[{}", 3),
            ("[{}}", 3),
            ("[{},]", 4),
            ("[[]]", 1),
            ("[{\"a\"}]", 5),
            ("[{\"a\":}]", 6),
            ("[{\"a\":nope}]", 6),
            ("[{\"a\":1,}]", 8),
            ("[{\"a\":\"1}]", 10),
            ("[{\"a\":[1}]", 9),
            ("[{\"a\":1 2}]", 8),
            ("[{}] x", 5),
            ("[{\"a\":\"\u{1}\"}]", 7),
            ("[{\"a\":\"\\", 9),
        ] {
            assert_eq!(read(text), Err(Malformed { at }), "{text}");
        }
        let mut taken = 0;
        assert!(events("[{\"ev\":\"T\"},{\"ev\"", |_| taken += 1).is_err());
        assert_eq!(taken, 1, "what came before counts");
    }

    proptest! {
        #[test]
        fn it_agrees_with_a_reader_of_all_json(
            p in "-?[0-9]{1,9}(\\.[0-9]{1,9})?(e-?[0-9])?",
            sym in "[A-Za-z. /\\\\\"é-]{0,9}",
            other in "[ -~]{0,9}",
            space in "[ \n\t]{0,2}",
        ) {
            let (sym, other) = (serde_json::to_string(&sym).unwrap(), serde_json::to_string(&other).unwrap());
            let text = format!(
                "[{space}{{{space}\"p\":{space}{p},\"x\":{{\"y\":[{other}]}}{space},\"sym\":{space}{sym}{space}}}]{space}"
            );
            let event = read(&text).unwrap()[0];
            prop_assert_eq!(event.p, p);
            prop_assert_eq!(event.x, format!("{{\"y\":[{other}]}}"));
            let expected: String = serde_json::from_str(&sym).unwrap();
            prop_assert_eq!(plain(event.sym), expected);
        }

        #[test]
        fn nothing_makes_it_panic(text in "[\\[\\]{}\",:\\\\a1é ]{0,40}", any in any::<String>()) {
            for text in [text, any] {
                let ours = read(&text);
                // What is an array of objects for a reader of all JSON is one for ours.
                let is_array = serde_json::from_str::<Vec<serde_json::Map<String, serde_json::Value>>>(&text).is_ok();
                prop_assert!(ours.is_ok() || !is_array, "{}", text);
            }
        }
    }
}
