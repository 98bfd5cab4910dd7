//! Text fields of a `multipart/form-data` body (RFC 7578), which count like those of any other form (decisions 8).
//! [`crate::body`] calls it with a body that is limited in size.
//! Files are left out: no form of ours has any.

/// The fields, in order; `None` when the body is not what its content type says.
pub(crate) fn fields(content_type: &str, body: &[u8]) -> Option<Vec<(String, String)>> {
    let boundary = parameter(content_type, "boundary").filter(|boundary| (1..=70).contains(&boundary.len()))?;
    let delimiter = format!("\r\n--{boundary}").into_bytes();
    let opening = &delimiter[2..];
    // What stands before the first delimiter is no part.
    let mut rest = if body.starts_with(opening) { &body[opening.len()..] } else { after(body, &delimiter)? };
    let mut fields = Vec::new();
    loop {
        if rest.starts_with(b"--") {
            return Some(fields);
        }
        let padding = rest.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
        let part = rest[padding..].strip_prefix(b"\r\n")?;
        let end = find(part, &delimiter)?;
        fields.extend(field(&part[..end])?);
        rest = &part[end + delimiter.len()..];
    }
}

/// One part: `None` when it is malformed, nothing inside when it is a file.
fn field(part: &[u8]) -> Option<Option<(String, String)>> {
    // A part without headers starts with the empty line at once, and has no name.
    let end = find(part, b"\r\n\r\n")?;
    let headers = std::str::from_utf8(&part[..end]).ok()?;
    let disposition = headers.split("\r\n").find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.trim().eq_ignore_ascii_case("content-disposition").then(|| value.trim())
    })?;
    if parameter(disposition, "filename").is_some() {
        return Some(None);
    }
    let name = parameter(disposition, "name")?;
    Some(Some((name, String::from_utf8_lossy(&part[end + 4..]).into_owned())))
}

/// A parameter of a header value, quoted or not. Browsers write quotes inside of names as `%22`.
fn parameter(header: &str, wanted: &str) -> Option<String> {
    let mut rest = header.split_once(';')?.1;
    loop {
        let (name, value) = rest.split_once('=')?;
        let value = value.trim_start();
        let (value, tail) = match value.strip_prefix('"') {
            Some(quoted) => {
                let (value, tail) = quoted.split_once('"')?;
                (value, tail.split_once(';').map_or("", |(_, tail)| tail))
            }
            None => value.split_once(';').map_or((value.trim_end(), ""), |(value, tail)| (value.trim_end(), tail)),
        };
        if name.trim().eq_ignore_ascii_case(wanted) {
            return Some(value.replace("%22", "\"").replace("%0D", "\r").replace("%0A", "\n"));
        }
        rest = tail;
    }
}

fn after<'a>(body: &'a [u8], needle: &[u8]) -> Option<&'a [u8]> {
    find(body, needle).map(|at| &body[at + needle.len()..])
}

fn find(body: &[u8], needle: &[u8]) -> Option<usize> {
    body.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Option<Vec<(String, String)>> {
        fields("multipart/form-data; charset=utf-8; boundary=\"b 1\"", body.as_bytes())
    }

    #[test]
    fn fields_are_read_and_files_left_out() {
        let body = concat!(
            "preamble\r\n--b 1\r\nContent-Disposition: form-data; name=\"traits.name\"\r\n\r\nÄ\r\n--not the end\r\n",
            "--b 1 \r\ncontent-type: image/png\r\ncontent-disposition: form-data; name=\"f\"; filename=\"a;b.png\"\r\n\r\n\u{0}\r\n",
            "--b 1\r\nContent-Disposition: form-data; name=a%22b\r\n\r\n\r\n--b 1--\r\nepilogue",
        );
        let fields = read(body).expect("a form");
        let expected = [("traits.name", "Ä\r\n--not the end"), ("a\"b", "")];
        assert_eq!(fields, expected.map(|(name, value)| (name.to_owned(), value.to_owned())));
    }

    #[test]
    fn malformed_bodies_are_no_forms() {
        for body in [
            "",
            "--b 1",
            "--b 1\r\n",
            "--b 1\r\n\r\n--b 1--",
            "--b 1\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue",
            "--b 1\r\nContent-Disposition: form-data\r\n\r\nvalue\r\n--b 1--",
            "--b 1x\r\nContent-Disposition: form-data; name=\"a\"\r\n\r\nvalue\r\n--b 1--",
            "--b 1\r\nX: y\r\n\r\nvalue\r\n--b 1--",
        ] {
            assert_eq!(read(body), None, "{body:?}");
        }
        assert_eq!(read("--b 1--"), Some(Vec::new()));
        assert_eq!(fields("multipart/form-data; boundary=", b"----"), None);
    }
}
