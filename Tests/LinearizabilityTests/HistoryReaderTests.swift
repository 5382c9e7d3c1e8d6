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

  @Test("A compare-and-set is read, with what it expects")
  func compareAndSet() throws {
    let history = try HistoryReader.history(
      of: """
        {"client":1,"seq":1,"op":"cas","key":"k","expected":"a","value":"b","invoke_ns":5,"return_ns":9,"outcome":"ok"}
        {"client":1,"seq":2,"op":"cas","key":"k","expected":null,"value":"b","invoke_ns":5,"return_ns":9,"outcome":"unequal"}
        """)
    let operations = history.operations
    #expect(operations.allSatisfy { $0.kind == .set && $0.isConditional })
    #expect(history.values[operations[0].expected] == "a")
    #expect(operations[1].expected == History.absent && operations[1].outcome == .unequal)
    #expect(
      operations.map(history.description(of:)) == [
        "[5 .. 9] client 1 #1 set k = \"b\" if it is \"a\"",
        "[5 .. 9] client 1 #2 set k = \"b\" if it is nothing -> it is not",
      ])
  }

  static let right =
    #"{"client":1,"seq":1,"op":"set","key":"k","value":"v","version":1,"invoke_ns":1,"return_ns":2,"outcome":"ok"}"#

  @Test(
    "A wrong line is named, with what was expected",
    arguments: [
      ("", "expected an object such as {\"client\":1,...}, found '[]' in column 1", "[]"),
      (#""op":"set""#, #"one of "get", "set", "delete", "cas", found "put""#, #""op":"put""#),
      (#""outcome":"ok""#, #"one of "ok", "not_found", "unknown", "failed""#, #""outcome":"x""#),
      (#""invoke_ns":1"#, #"expected "invoke_ns" to be an integer"#, #""invoke_ns":"1""#),
      (#""invoke_ns":1"#, #"expected "invoke_ns" to be an integer"#, #""invoke_ns":1.5"#),
      (#""key":"k","#, #"expected a field "key""#, ""),
      (#""value":"v","#, "expected that a set has a value", ""),
      (
        #""outcome":"ok""#, "expected that only a compare-and-set is refused as unequal",
        #""outcome":"unequal""#
      ),
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
