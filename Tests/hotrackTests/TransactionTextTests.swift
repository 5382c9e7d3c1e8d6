import StoreState
import Testing

@testable import hotrack

@Suite struct TransactionTextTests {
  @Test func readsWhatEtcdctlReads() throws {
    let text = """
      mod("key1") > "0"
      value("key 2") = "a \\"b\\""
      create(k) != "3"
      ver("k") < "9"

      put key1 "overwrote key1"
      del key2 --prefix
      get a b

      get key1
      """
    let transaction = try TransactionText.parse(text)
    func bytes(_ text: String) -> Bytes { Array(text.utf8) }
    #expect(
      transaction.guards == [
        Guard(bytes("key1"), .greater, .modRevision(0)),
        Guard(bytes("key 2"), .equal, .value(bytes("a \"b\""))),
        Guard(bytes("k"), .notEqual, .createRevision(3)),
        Guard(bytes("k"), .less, .version(9)),
      ])
    #expect(
      transaction.success == [
        .put(key: bytes("key1"), value: bytes("overwrote key1"), lease: nil),
        .delete(KeyRange(prefix: bytes("key2"))),
        .range(KeyRange(bytes("a"), end: bytes("b")), limit: nil),
      ])
    #expect(transaction.failure == [.range(KeyRange(bytes("key1")), limit: nil)])
  }

  @Test func needsNoConditions() throws {
    let transaction = try TransactionText.parse("\nput a b\n")
    #expect(transaction.guards.isEmpty && transaction.success.count == 1)
  }

  @Test(arguments: [
    ("", 1), ("\n\n\n", 4), ("nonsense\n", 1), ("mod(\"a\") > \"b\"\n\nput a b", 1),
    ("\nput a\n", 2), ("\nput \"a b\n", 2), ("\nfly a\n", 2), ("\nget a b c\n", 2),
    ("\nput a b\n\nget a\n\nget b", 6), ("mod(a b) > 1\n", 1), ("mod) a (\n", 1),
  ])
  func saysWhatIsWrongAndWhere(_ text: String, _ line: Int) {
    let problem = #expect(throws: TransactionText.Problem.self) {
      try TransactionText.parse(text)
    }
    #expect(problem?.line == line)
  }
}
