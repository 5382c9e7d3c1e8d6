import ArgumentParser
import Foundation
import StoreClient
import StoreState

/// `hotrack store txn`
struct StoreTxnCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "txn",
    abstract: "Change several keys of a group together, if conditions hold.",
    discussion: """
      Reads, as etcdctl does, conditions, what to do if all hold, and what to do if not, each a \
      line, with an empty line after each of the three lists:

        mod("key1") > "0"
        value("key2") = "a b"

        put key1 "new value"
        del key2

        get key1

      Conditions compare mod, create (revisions), ver (version) or value by =, !=, < or >. \
      Operations are put KEY VALUE, get KEY [END] [--prefix] and del KEY [END] [--prefix]. Prints \
      SUCCESS or FAILURE, and what each operation gave.

      \(StoreOptions.exitCodes)
      """)

  @OptionGroup var group: GroupOption
  @OptionGroup var options: StoreOptions

  @Flag(name: .shortAndLong, help: "Say what comes next, for typing it in.")
  var interactive = false

  func run() async throws {
    if interactive { standardError("compares, success requests, failure requests:") }
    let text = String(
      decoding: FileHandle.standardInput.readDataToEndOfFile(), as: UTF8.self)
    let transaction: Transaction
    do { transaction = try TransactionText.parse(text) } catch {
      standardError("Error: \(error)")
      throw ExitCode(64)
    }
    try await options.run { client in
      let change = try await client.propose(
        Command(.transaction(transaction)), group: group.group)
      guard case .transaction(let succeeded, let results, let revision) = change.response else {
        throw StoreClientError.unexpectedReply
      }
      if options.json {
        StoreText.json(
          Report(
            header: HeaderJSON(revision: revision, entry: change.entry), succeeded: succeeded,
            responses: results.map(ResultJSON.init)))
      } else {
        StoreText.line(succeeded ? "SUCCESS" : "FAILURE")
        for result in results { show(result) }
      }
    }
  }

  private func show(_ result: OperationResult) {
    StoreText.line("")
    switch result {
    case .put: StoreText.line("OK")
    case .deleted(let pairs): StoreText.line("\(pairs.count)")
    case .range(let pairs, _):
      for pair in pairs {
        StoreText.line(pair.key)
        StoreText.line(pair.value)
      }
    }
  }

  private struct Report: Encodable {
    var header: HeaderJSON
    var succeeded: Bool
    var responses: [ResultJSON]
  }

  private struct ResultJSON: Encodable {
    var put: Bool?
    var deleted: Int?
    var kvs: [PairJSON]?

    init(_ result: OperationResult) {
      switch result {
      case .put: put = true
      case .deleted(let pairs): deleted = pairs.count
      case .range(let pairs, _): kvs = pairs.map { PairJSON($0) }
      }
    }
  }
}

/// A transaction as etcdctl's users write it.
enum TransactionText {
  struct Problem: Error, CustomStringConvertible, Equatable {
    var line: Int
    var words: String
    var description: String { "line \(line): \(words)" }
  }

  static func parse(_ text: String) throws(Problem) -> Transaction {
    var transaction = Transaction(success: [])
    var part = 0
    var number = 0
    for line in text.split(separator: "\n", omittingEmptySubsequences: false) {
      number += 1
      let words = try self.words(line, number)
      if words.isEmpty {
        part += 1
        continue
      }
      switch part {
      case 0: transaction.guards.append(try condition(line, number))
      case 1: transaction.success.append(try operation(words, number))
      case 2: transaction.failure.append(try operation(words, number))
      default: throw Problem(line: number, words: "there are three lists, and this is after them")
      }
    }
    guard !(transaction.success.isEmpty && transaction.failure.isEmpty) else {
      throw Problem(line: number, words: "there is nothing to do: give at least one operation")
    }
    return transaction
  }

  /// mod("key") > "0"
  private static func condition(_ line: Substring, _ number: Int) throws(Problem) -> Guard {
    let bad = Problem(
      line: number, words: "\"\(line)\" is no condition, such as mod(\"key\") > \"0\"")
    guard let open = line.firstIndex(of: "("), let close = line.lastIndex(of: ")"), open < close
    else { throw bad }
    let kind = line[..<open].trimmingCharacters(in: .whitespaces)
    let key = try words(line[line.index(after: open)..<close], number)
    let rest = try words(line[line.index(after: close)...], number)
    guard key.count == 1, rest.count == 2 else { throw bad }
    let relations: [String: Guard.Relation] = [
      "=": .equal, "!=": .notEqual, "<": .less, ">": .greater,
    ]
    guard let relation = relations[rest[0]] else { throw bad }
    let target: Guard.Target
    switch (kind, UInt64(rest[1])) {
    case ("value", _), ("val", _): target = .value(Array(rest[1].utf8))
    case ("mod", let number?): target = .modRevision(number)
    case ("create", let number?), ("c", let number?): target = .createRevision(number)
    case ("ver", let number?), ("version", let number?): target = .version(number)
    default: throw bad
    }
    return Guard(Array(key[0].utf8), relation, target)
  }

  private static func operation(
    _ words: [String], _ number: Int
  ) throws(Problem) -> StoreOperation {
    let hasPrefix = words.contains("--prefix")
    let arguments = words.dropFirst().filter { $0 != "--prefix" }.map { Array($0.utf8) }
    func range() throws(Problem) -> KeyRange {
      guard let key = arguments.first, arguments.count <= (hasPrefix ? 1 : 2) else {
        throw Problem(line: number, words: "\(words[0]) takes KEY, KEY END, or KEY --prefix")
      }
      return hasPrefix
        ? KeyRange(prefix: key) : KeyRange(key, end: arguments.count == 2 ? arguments[1] : nil)
    }
    switch words[0] {
    case "put":
      guard arguments.count == 2, !hasPrefix else {
        throw Problem(line: number, words: "put takes a key and a value; quote what has spaces")
      }
      return .put(key: arguments[0], value: arguments[1], lease: nil)
    case "get": return .range(try range(), limit: nil)
    case "del", "delete": return .delete(try range())
    default: throw Problem(line: number, words: "\"\(words[0])\" is not put, get or del")
    }
  }

  /// Words, or what is between quotation marks; \" and \\ stand for themselves there.
  private static func words(_ line: Substring, _ number: Int) throws(Problem) -> [String] {
    var words: [String] = []
    var word: String?
    var isQuoted = false
    var isEscaped = false
    for character in line {
      if isEscaped {
        word?.append(character == "n" ? "\n" : character)
        isEscaped = false
      } else if isQuoted, character == "\\" {
        isEscaped = true
      } else if character == "\"" {
        isQuoted.toggle()
        word = word ?? ""
      } else if character.isWhitespace, !isQuoted {
        if let done = word { words.append(done) }
        word = nil
      } else {
        word = (word ?? "") + String(character)
      }
    }
    guard !isQuoted else { throw Problem(line: number, words: "a quotation mark is missing") }
    if let word { words.append(word) }
    return words
  }
}
