internal import Bench
internal import Configuration
internal import Controller
internal import Linearizability

/// Rack files and testbed files.
enum ConfigurationFuzzing {
  static func run(_ input: UnsafeRawBufferPointer) {
    // As a file's bytes are read.
    guard let text = String(validating: input, as: UTF8.self), !input.contains(0) else { return }
    rackFile(text)
    do throws(ConfigurationError) {
      _ = try TestbedFile(text: text, file: "input")
    } catch {
      require(!error.description.isEmpty, "an error says what is wrong")
    }
  }

  private static func rackFile(_ text: String) {
    let file: RackFile
    do throws(ConfigurationError) {
      file = try RackFile(text: text, file: "input")
    } catch {
      require(!error.description.isEmpty, "an error says what is wrong")
      return
    }
    require(
      (try? RackFile(text: file.text, file: "again")) == file, "a rack file is written as read")
  }
}

/// Lines on the control socket: what the controller reads, and what reads its answers.
enum ControlSocketFuzzing {
  static func run(_ input: UnsafeRawBufferPointer) {
    let line = Array(input)
    do throws(ControlProblem) {
      let request = try ControlRequest(line: line)
      let key = try request.keyBytes()
      require(!key.isEmpty, "a key is not empty")
    } catch {
      require(!error.text.isEmpty, "a refusal says why")
    }
    guard let answer = ControlAnswer(line: line) else { return }
    // Numbers that are not finite have no JSON, so the answer may become another one: a refusal.
    let written = ControlAnswer(line: answer.line().dropLast())
    require(written != nil, "an answer can be read")
  }
}

/// Histories: those that can be read are checked as well.
enum HistoryFuzzing {
  static func run(_ input: UnsafeRawBufferPointer) {
    guard let history = try? HistoryReader.history(of: input) else { return }
    describe(history)
    // Versions are hints: without them the verdict is the same, or none.
    let (isGood, isGoodBlindly) = (isGood(history), isGood(history.withoutVersions))
    require(
      isGood == nil || isGoodBlindly == nil || isGood == isGoodBlindly,
      "versions do not change the verdict")
  }

  // Apart, because the optimizer of Swift 6.3 does not survive them in one function.
  @inline(never) private static func describe(_ history: History) {
    for operation in history.operations { _ = history.description(of: operation) }
  }

  /// Nil: undecided.
  @inline(never) private static func isGood(_ history: History) -> Bool? {
    switch LinearizabilityChecker(stepLimit: 5_000).check(history).verdict {
    case .linearizable: true
    case .notLinearizable: false
    case .undecided: nil
    }
  }
}

extension History {
  /// The same without its hints.
  @inline(never) fileprivate var withoutVersions: History {
    var history = History()
    for operation in operations {
      // It was taken once, so it is taken again.
      try? history.append(
        client: operation.client, sequence: operation.sequence, kind: operation.kind,
        key: keys[operation.key],
        value: operation.value == History.absent ? nil : values[operation.value],
        condition: operation.isConditional
          ? .holds(operation.expected == History.absent ? nil : values[operation.expected])
          : .always,
        version: 0, invoked: operation.invoked, returned: operation.returned,
        outcome: operation.outcome)
    }
    return history
  }
}

/// memcached's answers, as the benchmark of servers reads them.
enum MemcachedFuzzing {
  static func run(_ input: UnsafeRawBufferPointer) {
    let material = LoadMaterial(count: 4, keyLength: 8, valueLength: 20)
    var dialect = MemcachedDialect(material)
    guard let number = dialect.decode(input) else { return }
    for operation in LoadOperation.allCases {
      for key in 0..<material.count {
        let request = ClosedRequest(number: number, operation: operation, key: key)
        guard dialect.isRight(number, input, to: request) else { continue }
        // An answer that is right is of one length only.
        require(
          input.count == (operation == .set ? 8 + 8 : 8 + 6 + 8 + 7 + 20 + 7),
          "an answer of \(input.count) bytes is right")
      }
    }
  }
}
