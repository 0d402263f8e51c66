//! As much of JSON as a call needs to be read, of at most 32 levels.

pub enum Value {
    Word, // true, false or null
    Number(f64),
    Text(String),
    List(Vec<Value>),
    Object(Vec<(String, Value)>),
}

impl Value {
    pub fn member(&self, name: &str) -> Option<&Value> {
        match self {
            Value::Object(members) => members.iter().find(|(n, _)| n == name).map(|(_, v)| v),
            _ => None,
        }
    }

    /// The bytes that a list of numbers stands for.
    pub fn bytes(&self) -> Result<Vec<u8>, String> {
        let byte = |v: &Value| match v {
            Value::Number(n) if (0.0..256.0).contains(n) => Ok(*n as u8),
            _ => Err("a list holds what is no byte".into()),
        };
        match self {
            Value::List(all) => all.iter().map(byte).collect(),
            _ => Err("a list of bytes was expected".into()),
        }
    }
}

pub fn parse(text: &str) -> Result<Value, String> {
    let mut reader = Reader { text, at: 0 };
    let value = reader.value(32)?;
    reader.space();
    if reader.at != text.len() {
        return Err(reader.wrong());
    }
    Ok(value)
}

struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl Reader<'_> {
    fn wrong(&self) -> String {
        format!("no JSON at byte {}", self.at)
    }

    fn peek(&self) -> u8 {
        self.text.as_bytes().get(self.at).copied().unwrap_or(0)
    }

    fn space(&mut self) {
        while matches!(self.peek(), b' ' | b'\t' | b'\r' | b'\n') {
            self.at += 1;
        }
    }

    /// Passes over a text that may be next.
    fn passed(&mut self, text: &str) -> bool {
        let is = self.text[self.at..].starts_with(text);
        self.at += if is { text.len() } else { 0 };
        is
    }

    fn expect(&mut self, text: &str) -> Result<(), String> {
        self.space();
        if self.passed(text) {
            Ok(())
        } else {
            Err(self.wrong())
        }
    }

    fn value(&mut self, depth: u32) -> Result<Value, String> {
        self.space();
        match self.peek() {
            _ if depth == 0 => Err("the JSON is too deep".into()),
            b'{' => self.object(depth - 1),
            b'[' => self.list(depth - 1),
            b'"' => self.string().map(Value::Text),
            b'-' | b'0'..=b'9' => self.number(),
            _ if ["true", "false", "null"].iter().any(|w| self.passed(w)) => Ok(Value::Word),
            _ => Err(self.wrong()),
        }
    }

    fn object(&mut self, depth: u32) -> Result<Value, String> {
        let mut members = Vec::new();
        self.each("{", "}", |r| {
            r.space();
            let name = r.string()?;
            r.expect(":")?;
            members.push((name, r.value(depth)?));
            Ok(())
        })?;
        Ok(Value::Object(members))
    }

    fn list(&mut self, depth: u32) -> Result<Value, String> {
        let mut all = Vec::new();
        self.each("[", "]", |r| {
            all.push(r.value(depth)?);
            Ok(())
        })?;
        Ok(Value::List(all))
    }

    /// Reads what stands between two brackets, with commas between.
    fn each(
        &mut self,
        from: &str,
        to: &str,
        mut one: impl FnMut(&mut Self) -> Result<(), String>,
    ) -> Result<(), String> {
        self.expect(from)?;
        self.space();
        if self.passed(to) {
            return Ok(());
        }
        loop {
            one(self)?;
            self.space();
            if self.passed(to) {
                return Ok(());
            }
            self.expect(",")?;
        }
    }

    fn number(&mut self) -> Result<Value, String> {
        let from = self.at;
        while matches!(self.peek(), b'-' | b'+' | b'.' | b'e' | b'E' | b'0'..=b'9') {
            self.at += 1;
        }
        self.text[from..self.at]
            .parse()
            .map(Value::Number)
            .map_err(|_| self.wrong())
    }

    fn string(&mut self) -> Result<String, String> {
        self.expect("\"")?;
        let mut out = String::new();
        loop {
            let next = self.text[self.at..]
                .chars()
                .next()
                .ok_or_else(|| self.wrong())?;
            self.at += next.len_utf8();
            match next {
                '"' => return Ok(out),
                '\\' => out.push(self.escaped()?),
                _ => out.push(next),
            }
        }
    }

    fn escaped(&mut self) -> Result<char, String> {
        let letter = self.peek();
        self.at += usize::from(letter.is_ascii());
        Ok(match letter {
            b'"' | b'\\' | b'/' => letter.into(),
            b'b' => '\u{8}',
            b'f' => '\u{c}',
            b'n' => '\n',
            b'r' => '\r',
            b't' => '\t',
            b'u' => self.unicode()?,
            _ => return Err(self.wrong()),
        })
    }

    /// Reads a character by its number, of two halves where it is high.
    fn unicode(&mut self) -> Result<char, String> {
        let mut units = vec![self.unit()?];
        if (0xd800..0xdc00).contains(&units[0]) && self.passed("\\u") {
            units.push(self.unit()?);
        }
        let mut all = char::decode_utf16(units);
        all.next().and_then(Result::ok).ok_or_else(|| self.wrong())
    }

    fn unit(&mut self) -> Result<u16, String> {
        let digits = self
            .text
            .get(self.at..self.at + 4)
            .ok_or_else(|| self.wrong())?;
        self.at += 4;
        u16::from_str_radix(digits, 16).map_err(|_| self.wrong())
    }
}
