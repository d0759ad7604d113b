//! A reader of JSON that weighs little. Every byte of the page travels to a phone, and a general deserialiser of what
//! the server sends weighs several times this one. Numbers are read from their digits, never through a float.

/// A JSON value (RFC 8259).
#[derive(Clone, Debug, PartialEq)]
pub enum Json {
    Null,
    Bool(bool),
    /// As it was written.
    Number(String),
    Text(String),
    List(Vec<Json>),
    Map(Vec<(String, Json)>),
}

/// Deeper than anything the server sends.
const DEPTH: u32 = 32;

/// What was read is not JSON, or not what it should be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Amiss;

impl Json {
    /// Reads exactly one JSON value.
    pub fn parse(text: &str) -> Result<Self, Amiss> {
        let mut parser = Parser { text, at: 0 };
        let value = parser.value(DEPTH).ok_or(Amiss)?;
        parser.skip_space();
        if parser.at == text.len() { Ok(value) } else { Err(Amiss) }
    }

    /// The field of that name; `Null` if there is none.
    pub fn field(&self, name: &str) -> &Self {
        let Self::Map(fields) = self else { return &Self::Null };
        fields.iter().find(|(field, _)| field == name).map_or(&Self::Null, |(_, value)| value)
    }

    pub fn as_str(&self) -> Result<&str, Amiss> {
        if let Self::Text(text) = self { Ok(text) } else { Err(Amiss) }
    }

    pub fn text(&self, name: &str) -> Result<String, Amiss> {
        self.field(name).as_str().map(str::to_owned)
    }

    /// Text that may be absent; anything else in its place is an error.
    pub fn optional_text(&self, name: &str) -> Result<Option<String>, Amiss> {
        match self.field(name) {
            Self::Null => Ok(None),
            Self::Text(text) => Ok(Some(text.clone())),
            _ => Err(Amiss),
        }
    }

    /// An integer that may be absent; anything else in its place is an error.
    pub fn optional_integer(&self, name: &str) -> Result<Option<i64>, Amiss> {
        match self.field(name) {
            Self::Null => Ok(None),
            Self::Number(digits) => digits.parse().map(Some).map_err(|_| Amiss),
            _ => Err(Amiss),
        }
    }

    pub fn integer<T: TryFrom<i64>>(&self, name: &str) -> Result<T, Amiss> {
        let integer = self.optional_integer(name)?.ok_or(Amiss)?;
        T::try_from(integer).map_err(|_| Amiss)
    }

    pub fn bool(&self, name: &str) -> Result<bool, Amiss> {
        if let Self::Bool(value) = self.field(name) { Ok(*value) } else { Err(Amiss) }
    }

    pub fn list<T>(&self, name: &str, read: fn(&Self) -> Result<T, Amiss>) -> Result<Vec<T>, Amiss> {
        let Self::List(values) = self.field(name) else { return Err(Amiss) };
        values.iter().map(read).collect()
    }
}

struct Parser<'a> {
    text: &'a str,
    at: usize,
}

impl Parser<'_> {
    fn peek(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn skip_space(&mut self) {
        while self.peek().is_some_and(|byte| matches!(byte, b' ' | b'\n' | b'\r' | b'\t')) {
            self.at += 1;
        }
    }

    /// Skips space and then `byte`, if it comes next.
    fn takes(&mut self, byte: u8) -> bool {
        self.skip_space();
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn value(&mut self, depth: u32) -> Option<Json> {
        self.skip_space();
        match self.peek()? {
            b'"' => self.string().map(Json::Text),
            b'{' => self.map(depth.checked_sub(1)?),
            b'[' => self.list(depth.checked_sub(1)?),
            _ => self.word(),
        }
    }

    fn map(&mut self, depth: u32) -> Option<Json> {
        self.at += 1;
        let mut fields = Vec::new();
        if self.takes(b'}') {
            return Some(Json::Map(fields));
        }
        loop {
            self.skip_space();
            let name = self.string()?;
            if !self.takes(b':') {
                return None;
            }
            fields.push((name, self.value(depth)?));
            if self.takes(b'}') {
                return Some(Json::Map(fields));
            }
            if !self.takes(b',') {
                return None;
            }
        }
    }

    fn list(&mut self, depth: u32) -> Option<Json> {
        self.at += 1;
        let mut values = Vec::new();
        if self.takes(b']') {
            return Some(Json::List(values));
        }
        loop {
            values.push(self.value(depth)?);
            if self.takes(b']') {
                return Some(Json::List(values));
            }
            if !self.takes(b',') {
                return None;
            }
        }
    }

    /// A number or one of the three names.
    fn word(&mut self) -> Option<Json> {
        let start = self.at;
        while self.peek().is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'+' | b'.')) {
            self.at += 1;
        }
        match self.text.get(start..self.at)? {
            "null" => Some(Json::Null),
            "true" => Some(Json::Bool(true)),
            "false" => Some(Json::Bool(false)),
            word if word.starts_with(|first: char| first == '-' || first.is_ascii_digit()) => {
                Some(Json::Number(word.to_owned()))
            }
            _ => None,
        }
    }

    fn string(&mut self) -> Option<String> {
        if self.peek()? != b'"' {
            return None;
        }
        self.at += 1;
        let mut text = String::new();
        loop {
            let rest = self.text.get(self.at..)?;
            let end = rest.find(['"', '\\'])?;
            text.push_str(rest.get(..end)?);
            self.at += end + 1;
            if rest.as_bytes().get(end) == Some(&b'"') {
                return Some(text);
            }
            text.push(self.escaped()?);
        }
    }

    fn escaped(&mut self) -> Option<char> {
        let letter = self.peek()?;
        self.at += 1;
        Some(match letter {
            b'"' | b'\\' | b'/' => char::from(letter),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => return self.unicode(),
            _ => return None,
        })
    }

    /// What follows `\u`: four digits, or eight in two halves for what lies beyond 16 bits.
    fn unicode(&mut self) -> Option<char> {
        let unit = self.four_digits()?;
        if !(0xD800..0xDC00).contains(&unit) {
            return char::from_u32(unit);
        }
        if self.text.get(self.at..self.at + 2)? != "\\u" {
            return None;
        }
        self.at += 2;
        let low = self.four_digits()?.checked_sub(0xDC00).filter(|low| *low < 0x400)?;
        char::from_u32(0x1_0000 + ((unit - 0xD800) << 10) + low)
    }

    fn four_digits(&mut self) -> Option<u32> {
        let digits = self.text.get(self.at..self.at + 4)?;
        self.at += 4;
        u32::from_str_radix(digits, 16).ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_every_kind_are_read() {
        let json = Json::parse(r#" {"a":[1,-2.5e3,true,false,null,[],{}] , "b":"x","a":0} "#).unwrap();
        let number = |digits: &str| Json::Number(digits.to_owned());
        let Json::List(values) = json.field("a") else { panic!("{json:?}") };
        assert_eq!(values[..3], [number("1"), number("-2.5e3"), Json::Bool(true)]);
        assert_eq!(values[3..], [Json::Bool(false), Json::Null, Json::List(Vec::new()), Json::Map(Vec::new())]);
        assert_eq!(json.text("b").as_deref(), Ok("x"));
        assert_eq!(*json.field("c"), Json::Null);
    }

    #[test]
    fn strings_read_as_any_other_reader_reads_them() {
        for text in ["", "plain", "</script>", "\"\\\u{8}\u{c}\n\r\t\u{0}\u{1f}", "ä €\u{2028}", "🦀🦀", "\u{fffd}"]
        {
            let json = serde_json::to_string(text).unwrap();
            assert_eq!(Json::parse(&json), Ok(Json::Text(text.to_owned())), "{json}");
        }
        for json in [r#""\u003c\u00e9\/""#, r#""\ud83e\udd80!""#] {
            let expected: String = serde_json::from_str(json).unwrap();
            assert_eq!(Json::parse(json), Ok(Json::Text(expected)), "{json}");
        }
    }

    #[test]
    fn what_is_not_json_is_refused() {
        let deep = "[".repeat(100_000);
        for text in [
            "",
            " ",
            "{",
            "[1,",
            "[1,]",
            "{\"a\"}",
            "{\"a\":}",
            "{a:1}",
            "\"a",
            "\"\\x\"",
            "\"\\u12\"",
            "\"\\ud83e\"",
            "\"\\ud83e\\u0041\"",
            "1 2",
            "nul",
            "]",
            "\"\\u00é\"",
            &deep,
        ] {
            assert_eq!(Json::parse(text), Err(Amiss), "{text:.40}");
        }
    }

    #[test]
    fn integers_are_exact_and_within_their_type() {
        let json = Json::parse(r#"{"large":9007199254740993,"small":-1,"half":0.5,"text":"1"}"#).unwrap();
        assert_eq!(json.integer("large"), Ok(9_007_199_254_740_993_u64));
        assert_eq!(json.integer::<u64>("small"), Err(Amiss));
        assert_eq!(json.integer::<u8>("large"), Err(Amiss));
        assert_eq!(json.integer::<i64>("half"), Err(Amiss));
        assert_eq!(json.integer::<i64>("text"), Err(Amiss));
        assert_eq!(json.integer::<i64>("absent"), Err(Amiss));
        assert_eq!(json.optional_integer("absent"), Ok(None));
        assert_eq!(json.optional_integer("half"), Err(Amiss));
    }
}
