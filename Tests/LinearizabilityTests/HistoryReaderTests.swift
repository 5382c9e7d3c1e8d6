import Linearizability
import Testing

@Suite struct HistoryReaderTests {
  @Test("A line of a history is read, whatever the order of its fields")
  func line() throws {
    let history = try HistoryReader.history(
      of: """
        {"client":18446744073709551615,"seq":1,"op":"set","key":"k\\u00e9\\n","value":"a\\"b","version":7,"invoke_ns":5,"return_ns":9,"outcome":"ok"}

        { "outcome" : "not_found", "return_ns":12,"invoke_ns":10,"more":{},"op":"get","key":"k","value":null,"seq":2,"client":1}
        """.replacing("\"more\":{},", with: "\"more\":true,"))
    #expect(history.operations.count == 2)
    let first = history.operations[0]
    #expect(first.client == .max && first.version == 7 && first.invoked == 5)
    #expect(history.keys[first.key] == "k\u{e9}\n")
    #expect(history.values[first.value] == "a\"b")
    #expect(history.operations[1].outcome == .notFound)
    #expect(history.operations[1].value == History.absent)
  }

  static let right =
    #"{"client":1,"seq":1,"op":"set","key":"k","value":"v","version":1,"invoke_ns":1,"return_ns":2,"outcome":"ok"}"#

  @Test(
    "A wrong line is named, with what was expected",
    arguments: [
      ("", "expected an object such as {\"client\":1,...}, found '[]' in column 1", "[]"),
      (#""op":"set""#, #"one of "get", "set", "delete", found "put""#, #""op":"put""#),
      (#""outcome":"ok""#, #"one of "ok", "not_found", "unknown", "failed""#, #""outcome":"x""#),
      (#""invoke_ns":1"#, #"expected "invoke_ns" to be an integer"#, #""invoke_ns":"1""#),
      (#""invoke_ns":1"#, #"expected "invoke_ns" to be an integer"#, #""invoke_ns":1.5"#),
      (#""key":"k","#, #"expected a field "key""#, ""),
      (#""value":"v","#, "expected that a set has a value", ""),
      (#""return_ns":2,"#, #"expected a field "return_ns""#, ""),
      (#""return_ns":2"#, "return_ns is not before invoke_ns", #""return_ns":0"#),
      (
        #""op":"set""#, "expected that a write is ok, unknown or failed",
        #""op":"delete","outcome":"not_found","x":"# + "\"\""
      ),
      (#""ok"}"#, "expected the end of the line", #""ok"} {"#),
      (#""ok"}"#, #"expected the end of the string "outcome""#, #""ok"#),
      (#""value":"v""#, #"expected "value" to be a string"#, #""value":17"#),
    ])
  func wrongLine(_ part: String, _ message: String, _ replacement: String) {
    var wrong = part.isEmpty ? replacement : Self.right.replacing(part, with: replacement)
    if replacement.contains("not_found") {
      wrong = wrong.replacing(#","outcome":"ok""#, with: "")
    }
    #expect {
      _ = try HistoryReader.history(of: Self.right + "\n" + wrong + "\n")
    } throws: { error in
      let problem = error as! HistoryReader.Problem
      #expect(problem.line == 2)
      #expect(problem.message.contains(message), "\(problem.message)")
      return true
    }
  }
}
