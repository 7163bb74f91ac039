//! Expressions made at random out of all functions that give the same each time: mostly with arguments of the types that they take,
//! now and then with others.

use super::differential::Dice;

/// What an argument is meant to be.
#[derive(Clone, Copy, PartialEq)]
enum Kind {
    Text,
    Int,
    Float,
    Bool,
    List,
    Map,
    Time,
    Version,
    Any,
}

use Kind::{Any, Bool, Float, Int, List, Map, Text, Time, Version};

/// A function, what it takes, and what it gives.
type Call = (&'static str, &'static [Kind], Kind);

const CALLS: &[Call] = &[
    ("print", &[Any, Any], Text),
    ("println", &[Any], Text),
    ("html", &[Any], Text),
    ("js", &[Any], Text),
    ("urlquery", &[Any], Text),
    ("len", &[Any], Int),
    ("index", &[Map, Text], Any),
    ("index", &[List, Int], Any),
    ("not", &[Any], Bool),
    ("and", &[Any, Any], Any),
    ("or", &[Any, Any], Any),
    ("eq", &[Any, Any], Bool),
    ("ne", &[Text, Any], Bool),
    ("lt", &[Int, Int], Bool),
    ("le", &[Text, Text], Bool),
    ("gt", &[Float, Float], Bool),
    ("ge", &[Any, Any], Bool),
    ("default", &[Any, Any], Any),
    ("empty", &[Any], Bool),
    ("coalesce", &[Any, Any, Any], Any),
    ("ternary", &[Any, Any, Bool], Any),
    ("all", &[Any, Any], Bool),
    ("any", &[Any, Any], Bool),
    ("quote", &[Any, Any], Text),
    ("squote", &[Any], Text),
    ("cat", &[Any, Any], Text),
    ("toString", &[Any], Text),
    ("toStrings", &[List], List),
    ("trunc", &[Int, Text], Text),
    ("abbrev", &[Int, Text], Text),
    ("abbrevboth", &[Int, Int, Text], Text),
    ("initials", &[Text], Text),
    ("substr", &[Int, Int, Text], Text),
    ("repeat", &[Int, Text], Text),
    ("trim", &[Text], Text),
    ("trimAll", &[Text, Text], Text),
    ("trimPrefix", &[Text, Text], Text),
    ("trimSuffix", &[Text, Text], Text),
    ("upper", &[Text], Text),
    ("lower", &[Text], Text),
    ("title", &[Text], Text),
    ("untitle", &[Text], Text),
    ("swapcase", &[Text], Text),
    ("snakecase", &[Text], Text),
    ("camelcase", &[Text], Text),
    ("kebabcase", &[Text], Text),
    ("nospace", &[Text], Text),
    ("plural", &[Text, Text, Int], Text),
    ("replace", &[Text, Text, Text], Text),
    ("contains", &[Text, Text], Bool),
    ("hasPrefix", &[Text, Text], Bool),
    ("hasSuffix", &[Text, Text], Bool),
    ("wrap", &[Int, Text], Text),
    ("wrapWith", &[Int, Text, Text], Text),
    ("indent", &[Int, Text], Text),
    ("nindent", &[Int, Text], Text),
    ("split", &[Text, Text], Map),
    ("splitList", &[Text, Text], List),
    ("splitn", &[Text, Int, Text], Map),
    ("join", &[Text, List], Text),
    ("sortAlpha", &[List], List),
    ("int", &[Any], Int),
    ("int64", &[Any], Int),
    ("float64", &[Any], Float),
    ("atoi", &[Text], Int),
    ("toDecimal", &[Any], Int),
    ("add", &[Any, Any], Int),
    ("add1", &[Any], Int),
    ("sub", &[Any, Any], Int),
    ("mul", &[Int, Int], Int),
    ("div", &[Any, Int], Int),
    ("mod", &[Any, Int], Int),
    ("max", &[Int, Any], Int),
    ("min", &[Int, Any], Int),
    ("addf", &[Any, Float], Float),
    ("add1f", &[Float], Float),
    ("subf", &[Float, Any], Float),
    ("mulf", &[Float, Float], Float),
    ("divf", &[Float, Float], Float),
    ("maxf", &[Float, Any], Float),
    ("minf", &[Float, Any], Float),
    ("floor", &[Any], Float),
    ("ceil", &[Any], Float),
    ("round", &[Any, Int], Float),
    ("until", &[Int], List),
    ("untilStep", &[Int, Int, Int], List),
    ("seq", &[Int, Int], Text),
    ("list", &[Any, Any, Any], List),
    ("tuple", &[Any], List),
    ("first", &[List], Any),
    ("last", &[List], Any),
    ("rest", &[List], List),
    ("initial", &[List], List),
    ("append", &[List, Any], List),
    ("prepend", &[List, Any], List),
    ("concat", &[List, List], List),
    ("reverse", &[List], List),
    ("uniq", &[List], List),
    ("without", &[List, Any], List),
    ("has", &[Any, List], Bool),
    ("compact", &[List], List),
    ("slice", &[List, Int, Int], List),
    ("chunk", &[Int, List], List),
    ("dict", &[Text, Any, Text, Any], Map),
    ("set", &[Map, Text, Any], Map),
    ("unset", &[Map, Text], Map),
    ("get", &[Map, Text], Any),
    ("hasKey", &[Map, Text], Bool),
    ("pluck", &[Text, Map, Map], List),
    ("pick", &[Map, Text, Text], Map),
    ("omit", &[Map, Text], Map),
    ("merge", &[Map, Map], Map),
    ("mergeOverwrite", &[Map, Map], Map),
    ("mustMerge", &[Map, Map], Map),
    ("deepCopy", &[Any], Any),
    ("deepEqual", &[Any, Any], Bool),
    ("dig", &[Text, Text, Any, Map], Any),
    ("typeOf", &[Any], Text),
    ("kindOf", &[Any], Text),
    ("kindIs", &[Text, Any], Bool),
    ("typeIs", &[Text, Any], Bool),
    ("typeIsLike", &[Text, Any], Bool),
    ("b64enc", &[Text], Text),
    ("b64dec", &[Text], Text),
    ("b32enc", &[Text], Text),
    ("b32dec", &[Text], Text),
    ("sha1sum", &[Text], Text),
    ("sha256sum", &[Text], Text),
    ("sha512sum", &[Text], Text),
    ("adler32sum", &[Text], Text),
    ("toJson", &[Any], Text),
    ("toPrettyJson", &[Any], Text),
    ("toRawJson", &[Any], Text),
    ("mustToJson", &[Any], Text),
    ("toYaml", &[Any], Text),
    ("toYamlPretty", &[Any], Text),
    ("toToml", &[Any], Text),
    ("fromJson", &[Text], Map),
    ("fromJsonArray", &[Text], List),
    ("fromYaml", &[Text], Map),
    ("fromYamlArray", &[Text], List),
    ("fromToml", &[Text], Map),
    ("regexMatch", &[Text, Text], Bool),
    ("regexFind", &[Text, Text], Text),
    ("regexFindAll", &[Text, Text, Int], List),
    ("regexReplaceAll", &[Text, Text, Text], Text),
    ("regexReplaceAllLiteral", &[Text, Text, Text], Text),
    ("regexSplit", &[Text, Text, Int], List),
    ("mustRegexMatch", &[Text, Text], Bool),
    ("regexQuoteMeta", &[Text], Text),
    ("semver", &[Text], Version),
    ("semverCompare", &[Text, Text], Bool),
    ("base", &[Text], Text),
    ("dir", &[Text], Text),
    ("clean", &[Text], Text),
    ("ext", &[Text], Text),
    ("isAbs", &[Text], Bool),
    ("osBase", &[Text], Text),
    ("urlParse", &[Text], Map),
    ("urlJoin", &[Map], Text),
    ("toDate", &[Text, Text], Time),
    ("mustToDate", &[Text, Text], Time),
    ("date", &[Text, Time], Text),
    ("dateInZone", &[Text, Time, Text], Text),
    ("htmlDate", &[Time], Text),
    ("dateModify", &[Text, Time], Time),
    ("unixEpoch", &[Time], Text),
    ("duration", &[Any], Text),
    ("durationRound", &[Any], Text),
    ("required", &[Text, Any], Any),
    ("fail", &[Text], Text),
    ("tpl", &[Text, Any], Text),
];

/// Parts of formats.
const VERBS: [&str; 30] = [
    "%v", "%+v", "%#v", "%T", "%d", "%s", "%q", "%x", "%X", "%t", "%f", "%e", "%g", "%5d", "%-8s|",
    "%08.3f", "%+d", "% x", "%#x", "%U", "%c", "%o", "%b", "%%", "%!", "%[2]v", "%*d", "%.2s",
    "%6.2f", "%z",
];
const TEXTS: [&str; 44] = [
    "\"\"",
    "\"a\"",
    "\"b\"",
    "\"hello world\"",
    "\"Hello-World_foo\"",
    "\"HTTPServer2x\"",
    "\" x \"",
    "\"1\"",
    "\"-7\"",
    "\"0x1F\"",
    "\"010\"",
    "\"1.5\"",
    "\"1e3\"",
    "\"true\"",
    "\"null\"",
    "\"~\"",
    "\"a: b\"",
    "\"- a\\n- 1\"",
    "\"{\\\"a\\\":[1,null]}\"",
    "\"[1,2.5,\\\"x\\\"]\"",
    "\"a = 1\\n[t]\\nb = [1, 2]\"",
    "\"x\\ny\\n\"",
    "\"é\\u00a0ü\"",
    "\"😀\"",
    "\"\\xff\"",
    "\"YWJj\"",
    "\"MFRGG===\"",
    "\"a/b/../c.txt\"",
    "\"/\"",
    "\"https://u:p@h:1/p?q=1#f\"",
    "\"1.2.3\"",
    "\"v1.2.3-rc.1+b\"",
    "\">=1.2 <2 || ~3\"",
    "\"^0.2\"",
    "\"2006-01-02\"",
    "\"2024-02-29\"",
    "\"Mon Jan _2 15:04:05.000 MST 2006\"",
    "\"UTC\"",
    "\"Europe/Berlin\"",
    "\"1h30m\"",
    "\"^(a+)(b)?$\"",
    "\"[a-\"",
    "\"${1}x$2\"",
    "\"int\"",
];
const INTS: [&str; 13] = [
    "0",
    "1",
    "2",
    "3",
    "-1",
    "-5",
    "7",
    "10",
    "80",
    "1000000",
    "9223372036854775807",
    "'a'",
    "0x10",
];
const FLOATS: [&str; 9] = [
    "0.0",
    "1.0",
    "1.5",
    "-2.25",
    "1e6",
    "1e21",
    "1e-7",
    "3.14159",
    "123456789.5",
];
const LISTS: [&str; 9] = [
    "(list)",
    "(list 1 2 3)",
    "(list \"b\" \"a\" \"b\")",
    "(list 1 \"a\" nil 1.5 true)",
    "(list (list 1) (dict \"a\" 1))",
    ".Values.list",
    ".Values.texts",
    "(until 3)",
    "(splitList \",\" \"a,b,,c\")",
];
const MAPS: [&str; 9] = [
    "(dict)",
    "(dict \"a\" 1 \"b\" \"x\")",
    "(dict \"a\" (dict \"b\" (dict \"c\" 1)))",
    ".Values.map",
    ".Values",
    ".Values.deep",
    "(split \",\" \"x,y\")",
    "(dict \"host\" \"h:1\" \"scheme\" \"https\" \"path\" \"/p\")",
    ".Values.missing",
];
const TIMES: [&str; 5] = [
    "(toDate \"2006-01-02\" \"2024-02-29\")",
    "(toDate \"2006-01-02T15:04:05Z07:00\" \"2023-12-31T23:59:59+05:30\")",
    "0",
    "1700000000",
    "(dateModify \"-1h30m\" (toDate \"2006-01-02\" \"1999-12-31\"))",
];
const VERSIONS: [&str; 3] = [
    "(semver \"1.2.3\")",
    "(semver \"v0.1.0-a.b+c\")",
    "(semver \"7\")",
];
const OTHERS: [&str; 10] = [
    "nil",
    "true",
    "false",
    ".Values.missing",
    ".Values.none",
    ".Values.number",
    ".Values.text",
    ".Release.Revision",
    ".Chart.Name",
    "$.Values.flag",
];

/// The values that the expressions look into.
pub(crate) const VALUES: &str = "list: [1, 2.5, x, null, {a: b}]\ntexts: [b, a, C]\nmap: {a: 1, b: two, c: {d: [true]}}\n\
    deep: {x: {y: {z: deep}}, n: 1000000}\nnumber: 12\nbig: 1234567.8\ntext: some text\nflag: true\nnone: null\nempty: \"\"\n";

/// An expression.
pub(crate) fn expression(dice: &mut Dice, depth: usize) -> String {
    if dice.roll(10) == 0 {
        return formatted(dice, depth);
    }
    let (name, kinds, _) = CALLS[dice.roll(CALLS.len())];
    call(dice, name, kinds, depth)
}

fn call(dice: &mut Dice, name: &str, kinds: &[Kind], depth: usize) -> String {
    let mut parts: Vec<String> = kinds
        .iter()
        .map(|kind| argument(dice, *kind, depth))
        .collect();
    // One argument too few or too many, once in a while.
    match dice.roll(40) {
        0 => drop(parts.pop()),
        1 => parts.push(argument(dice, Any, 0)),
        _ => {}
    }
    if dice.roll(4) == 0
        && let Some(last) = parts.pop()
    {
        return format!("{last} | {name} {}", parts.join(" "))
            .trim_end()
            .to_owned();
    }
    format!("{name} {}", parts.join(" ")).trim_end().to_owned()
}

fn formatted(dice: &mut Dice, depth: usize) -> String {
    let verbs: String = (0..=dice.roll(2)).map(|_| dice.pick(&VERBS)).collect();
    let arguments: Vec<String> = (0..=dice.roll(2))
        .map(|_| argument(dice, Any, depth))
        .collect();
    format!("printf {verbs:?} {}", arguments.join(" "))
}

fn argument(dice: &mut Dice, kind: Kind, depth: usize) -> String {
    // Another kind than is wanted, once in a while.
    let kind = if dice.roll(12) == 0 { Any } else { kind };
    if depth > 0 && dice.roll(3) == 0 {
        let fitting: Vec<&Call> = CALLS
            .iter()
            .filter(|call| kind == Any || call.2 == kind)
            .collect();
        let (name, kinds, _) = *fitting[dice.roll(fitting.len())];
        return format!("({})", call(dice, name, kinds, depth - 1));
    }
    literal(dice, kind).to_owned()
}

fn literal(dice: &mut Dice, kind: Kind) -> &'static str {
    match kind {
        Text => dice.pick(&TEXTS),
        Int => dice.pick(&INTS),
        Float => dice.pick(&FLOATS),
        Bool => dice.pick(&OTHERS[1..3]),
        List => dice.pick(&LISTS),
        Map => dice.pick(&MAPS),
        Time => dice.pick(&TIMES),
        Version => dice.pick(&VERSIONS),
        Any => {
            let kinds = [Text, Int, Float, Bool, List, Map, Time, Version];
            match dice.roll(kinds.len() + 2) {
                at if at < kinds.len() => literal(dice, kinds[at]),
                _ => dice.pick(&OTHERS),
            }
        }
    }
}
