//! Addresses on their way into a `Location` header and a link.
//! [`crate::reply`] passes every redirect through here.
//! Does not judge where an address leads; that happened before.

/// The address with everything but printable ASCII percent-encoded, so that no line break and no foreign byte reaches a
/// header.
pub(crate) fn printable(address: &str) -> String {
    let mut text = String::with_capacity(address.len());
    for byte in address.bytes() {
        if byte.is_ascii_graphic() {
            text.push(char::from(byte));
        } else {
            text.push('%');
            for nibble in [byte >> 4, byte & 15] {
                text.push(char::from(b"0123456789ABCDEF"[usize::from(nibble)]));
            }
        }
    }
    text
}

/// The address as the value of a quoted HTML attribute.
pub(crate) fn escaped(address: &str) -> String {
    let mut text = String::with_capacity(address.len());
    for letter in address.chars() {
        match letter {
            '&' => text.push_str("&amp;"),
            '<' => text.push_str("&lt;"),
            '>' => text.push_str("&gt;"),
            '"' => text.push_str("&#34;"),
            '\'' => text.push_str("&#39;"),
            other => text.push(other),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_breaks_out_of_header_or_attribute() {
        for (address, header, attribute) in [
            ("https://a/b?c=d#e", "https://a/b?c=d#e", "https://a/b?c=d#e"),
            ("https://a/\r\nSet-Cookie: x=y", "https://a/%0D%0ASet-Cookie:%20x=y", "https://a/%0D%0ASet-Cookie:%20x=y"),
            ("https://a/ü", "https://a/%C3%BC", "https://a/%C3%BC"),
            ("https://a/\"onclick='x'<b>&", "https://a/\"onclick='x'<b>&", "https://a/&#34;onclick=&#39;x&#39;&lt;b&gt;&amp;"),
        ] {
            assert_eq!(printable(address), header);
            assert_eq!(escaped(&printable(address)), attribute);
        }
    }
}
