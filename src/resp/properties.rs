//! Proves of the codec: any split of the bytes of any replies gives the same replies; what is encoded reads back; and
//! no bytes, however wrong, make it panic or disagree with itself.

use proptest::{collection::vec, prelude::*};

use super::{
    decode::{DecodeError, Decoder},
    encode::Requests,
    reply::{Reply, Value},
};

/// A reply as a tree, to be written by hand here and read by the decoder.
#[derive(Clone, Debug, PartialEq)]
enum Tree {
    Nil,
    NilArray,
    Simple(Vec<u8>),
    Error(Vec<u8>),
    Integer(i64),
    Bulk(Vec<u8>),
    Array(Vec<Tree>),
}

impl Tree {
    fn write(&self, out: &mut Vec<u8>) {
        match self {
            Self::Nil => out.extend_from_slice(b"$-1\r\n"),
            Self::NilArray => out.extend_from_slice(b"*-1\r\n"),
            Self::Simple(text) => out.extend([b"+", &text[..], b"\r\n"].concat()),
            Self::Error(text) => out.extend([b"-", &text[..], b"\r\n"].concat()),
            Self::Integer(number) => out.extend_from_slice(format!(":{number}\r\n").as_bytes()),
            Self::Bulk(bytes) => {
                out.extend_from_slice(format!("${}\r\n", bytes.len()).as_bytes());
                out.extend([&bytes[..], b"\r\n"].concat());
            }
            Self::Array(elements) => {
                out.extend_from_slice(format!("*{}\r\n", elements.len()).as_bytes());
                elements.iter().for_each(|element| element.write(out));
            }
        }
    }

    fn is_what(&self, value: &Value<'_>) -> bool {
        match (self, value) {
            (Self::Nil | Self::NilArray, Value::Nil) => true,
            (Self::Simple(text), Value::Simple(got)) => text == got,
            (Self::Error(text), Value::Error(got)) => {
                let error = got.to_owned();
                let text = String::from_utf8_lossy(text);
                text == error.code() || text == format!("{} {}", error.code(), error.message())
            }
            (Self::Integer(number), Value::Integer(got)) => number == got,
            (Self::Bulk(bytes), Value::Bulk(got)) => bytes == got,
            (Self::Array(trees), Value::Array(values)) => {
                trees.len() == values.len()
                    && trees.iter().zip(values.clone()).all(|(tree, value)| tree.is_what(&value))
            }
            _ => false,
        }
    }
}

/// Text of a line: anything but line ends. A lone line feed is let through, a lone carriage return is not.
fn line() -> impl Strategy<Value = Vec<u8>> {
    vec(any::<u8>(), 0..40).prop_map(|mut text| {
        text.retain(|byte| !matches!(byte, b'\r' | b'\n'));
        text
    })
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Tree::Nil),
        Just(Tree::NilArray),
        line().prop_map(Tree::Simple),
        line().prop_map(Tree::Error),
        any::<i64>().prop_map(Tree::Integer),
        vec(any::<u8>(), 0..60).prop_map(Tree::Bulk),
    ];
    leaf.prop_recursive(6, 40, 8, |inner| vec(inner, 0..8).prop_map(Tree::Array))
}

/// All replies that `bytes`, cut at `cuts`, yield, and the error that ends them.
fn decode(bytes: &[u8], cuts: &[usize]) -> (Vec<Reply>, Option<DecodeError>) {
    let mut cuts: Vec<usize> =
        cuts.iter().map(|cut| cut % (bytes.len() + 1)).chain([0, bytes.len()]).collect();
    cuts.sort_unstable();
    let mut decoder = Decoder::default();
    let mut replies = Vec::new();
    for pair in cuts.windows(2) {
        decoder.feed(&bytes[pair[0]..pair[1]]);
        loop {
            match decoder.next_reply() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break,
                Err(error) => return (replies, Some(error)),
            }
        }
    }
    (replies, None)
}

/// Reads one command as a server would; independent of our decoder.
fn read_command<'a>(bytes: &mut &'a [u8]) -> Vec<&'a [u8]> {
    let argc = read_number(bytes, b'*');
    (0..argc)
        .map(|_| {
            let length = read_number(bytes, b'$');
            let arg = &bytes[..length];
            assert_eq!(&bytes[length..length + 2], b"\r\n");
            *bytes = &bytes[length + 2..];
            arg
        })
        .collect()
}

fn read_number(bytes: &mut &[u8], kind: u8) -> usize {
    assert_eq!(bytes[0], kind);
    let end = bytes.iter().position(|byte| *byte == b'\r').unwrap();
    let number = std::str::from_utf8(&bytes[1..end]).unwrap().parse().unwrap();
    assert_eq!(bytes[end + 1], b'\n');
    *bytes = &bytes[end + 2..];
    number
}

proptest! {
    #[test]
    fn any_split_gives_the_same_replies(trees in vec(tree(), 1..5), cuts in vec(any::<usize>(), 0..12)) {
        let mut bytes = Vec::new();
        trees.iter().for_each(|tree| tree.write(&mut bytes));
        let (replies, error) = decode(&bytes, &cuts);
        prop_assert_eq!(error, None);
        prop_assert_eq!(replies.len(), trees.len());
        for (tree, reply) in trees.iter().zip(&replies) {
            prop_assert!(tree.is_what(&reply.value()), "{:?} became {:?}", tree, reply);
        }
        let every_byte: Vec<usize> = (0..bytes.len()).collect();
        prop_assert_eq!(decode(&bytes, &every_byte), (replies, None));
    }

    #[test]
    fn garbage_never_panics_and_is_judged_alike_however_split(
        bytes in vec(prop_oneof![any::<u8>(), prop::sample::select(b"+-:$*\r\n0123456789".to_vec())], 0..200),
        cuts in vec(any::<usize>(), 0..12),
    ) {
        let (replies, error) = decode(&bytes, &[]);
        let (split_replies, split_error) = decode(&bytes, &cuts);
        prop_assert_eq!(replies, split_replies);
        // The error may quote less if less had arrived.
        prop_assert_eq!(error.map(|e| std::mem::discriminant(&e)), split_error.map(|e| std::mem::discriminant(&e)));
    }

    #[test]
    fn garbage_of_resp3_never_panics_and_is_never_taken_for_a_reply_that_it_is_not(
        bytes in vec(prop_oneof![1 => any::<u8>(), 9 => prop::sample::select(b"+-:$*%>_\r\n0123".to_vec())], 0..200),
        trees in vec(tree(), 0..3),
    ) {
        let mut decoder = Decoder::default();
        decoder.speak_resp3();
        let mut stream = Vec::new();
        trees.iter().for_each(|tree| tree.write(&mut stream));
        stream.extend_from_slice(&bytes);
        decoder.feed(&stream);
        let mut replies = Vec::new();
        let error = loop {
            match decoder.next_reply() {
                Ok(Some(reply)) => replies.push(reply),
                Ok(None) => break None,
                Err(error) => break Some(error),
            }
        };
        let shown = format!("{replies:?}");
        prop_assert!(!shown.is_empty());
        prop_assert!(!matches!(error, Some(DecodeError::Refused { .. })), "{:?}", error);
        prop_assert!(replies.len() >= trees.len());
        for (tree, reply) in trees.iter().zip(&replies) {
            prop_assert!(tree.is_what(&reply.value()), "{:?} became {:?}", tree, reply);
        }
    }

    #[test]
    fn one_wrong_byte_in_good_replies_never_panics(trees in vec(tree(), 1..4), at: prop::sample::Index, byte: u8) {
        let mut bytes = Vec::new();
        trees.iter().for_each(|tree| tree.write(&mut bytes));
        let at = at.index(bytes.len());
        bytes[at] = byte;
        let (replies, error) = decode(&bytes, &[at]);
        // Formatted, because Debug and the accessors walk every range of a reply.
        let shown = format!("{replies:?}");
        prop_assert!(!shown.is_empty());
        prop_assert!(!matches!(error, Some(DecodeError::Refused { .. })), "{:?}", error);
    }

    #[test]
    fn what_is_encoded_reads_back(
        commands in vec((vec(vec(any::<u8>(), 0..50), 1..6), any::<u64>(), any::<f64>()), 0..6),
    ) {
        let mut requests = Requests::new();
        for (args, unsigned, float) in &commands {
            let mut command = requests.begin(args.len() + 2);
            for arg in args {
                command.arg(arg);
            }
            command.arg_u64(*unsigned).arg_f64(if float.is_nan() { 0.5 } else { *float });
        }
        prop_assert_eq!(requests.len_commands(), commands.len());
        let mut rest = requests.as_bytes();
        for (args, unsigned, float) in &commands {
            let read = read_command(&mut rest);
            let numbers: Vec<&str> = read[args.len()..].iter().map(|arg| std::str::from_utf8(arg).unwrap()).collect();
            prop_assert_eq!(&read[..args.len()], &args[..]);
            prop_assert_eq!(numbers[0].parse::<u64>().unwrap(), *unsigned);
            prop_assert!(float.is_nan() || numbers[1].parse::<f64>().unwrap().to_bits() == float.to_bits());
        }
        prop_assert!(rest.is_empty());
    }
}
