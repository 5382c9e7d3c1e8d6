import Foundation
import Testing

/// What a run of the built executable printed, and its exit code.
struct Run {
  let code: Int32
  let output: [UInt8]
  let errors: String

  var text: String { String(decoding: output, as: UTF8.self) }

  /// The one JSON object it printed.
  var object: [String: any Sendable] {
    get throws {
      let object = try JSONSerialization.jsonObject(with: Data(output)) as? [String: Any]
      return try #require(object).mapValues { "\($0)" }
    }
  }
}

/// Beside the test bundle, wherever the package was built.
let executable = Bundle.main.bundleURL.appendingPathComponent("hotrack")

func hotrack(
  _ arguments: [String], input: [UInt8] = [], environment: [String: String] = [:]
) async throws -> Run {
  let process = Process()
  process.executableURL = executable
  process.arguments = arguments
  process.environment = environment
  let (toChild, output, errors) = (Pipe(), Pipe(), Pipe())
  process.standardInput = toChild
  process.standardOutput = output
  process.standardError = errors
  // A task's thread must not wait for a process.
  return try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread {
      continuation.resume(
        with: Result {
          try process.run()
          // Less than a pipe holds, so that no one waits for the other.
          try toChild.fileHandleForWriting.write(contentsOf: Data(input))
          try toChild.fileHandleForWriting.close()
          let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
          let complaints = try errors.fileHandleForReading.readToEnd() ?? Data()
          process.waitUntilExit()
          return Run(
            code: process.terminationStatus, output: Array(bytes),
            errors: String(decoding: complaints, as: UTF8.self))
        })
    }
  }
}
