import Foundation
import Sockets
import Testing

/// What a `hotrack server` printed, and how it ended.
private struct Ending {
  let code: Int32
  let wasKilledByASignal: Bool
  let output: String
  let errors: String
}

/// Runs the built executable. `signal` is sent once it has greeted; without one it must end itself.
private func server(_ arguments: [String], signal: Int32? = nil) async throws -> Ending {
  let process = Process()
  process.executableURL = Bundle.main.bundleURL.appendingPathComponent("hotrack")
  process.arguments = ["server"] + arguments
  let (output, errors) = (Pipe(), Pipe())
  process.standardOutput = output
  process.standardError = errors
  // A task's thread must not wait for a process.
  return try await withCheckedThrowingContinuation { continuation in
    Thread.detachNewThread {
      continuation.resume(
        with: Result {
          try process.run()
          var text = Data()
          if let signal {
            text = output.fileHandleForReading.availableData
            kill(process.processIdentifier, signal)
          }
          text += try output.fileHandleForReading.readToEnd() ?? Data()
          let complaints = try errors.fileHandleForReading.readToEnd() ?? Data()
          process.waitUntilExit()
          return Ending(
            code: process.terminationStatus,
            wasKilledByASignal: process.terminationReason == .uncaughtSignal,
            output: String(decoding: text, as: UTF8.self),
            errors: String(decoding: complaints, as: UTF8.self))
        })
    }
  }
}

@Suite(.timeLimit(.minutes(1))) struct ServerCommandTests {
  @Test(arguments: [SIGTERM, SIGINT])
  func aSignalEndsItInOrder(_ signal: Int32) async throws {
    let free = try UDPSocket(bind: Endpoint(.loopback, port: 0)).local
    let ending = try await server(
      [
        "--number", "3", "--listen", "\(free)", "--directory", "127.0.0.1", "--capacity", "1000",
      ], signal: signal)
    #expect(ending.code == 0 && !ending.wasKilledByASignal)
    #expect(ending.errors.isEmpty, "quiet unless asked")
    #expect(
      ending.output
        == "server 3 serves \(free) for the rack 127.0.0.1:18516, "
        + "emulated: 1000 operations per second\n")
  }

  @Test func severalServersInOneProcessTellTheirTotalsAsJSON() async throws {
    let port = try UDPSocket(bind: Endpoint(.loopback, port: 0)).local.port
    let ending = try await server(
      [
        "--directory", "127.0.0.1", "--server", "0=127.0.0.2:\(port)", "--server",
        "1=127.0.0.3:\(port)", "--json",
      ], signal: SIGTERM)
    #expect(ending.code == 0)
    let objects = try ending.output.split(separator: "\n").map {
      try #require(try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any])
    }
    #expect(objects.count == 4)
    #expect(objects.prefix(2).allSatisfy { $0["emulated"] as? Bool == false })
    #expect(objects.suffix(2).compactMap { $0["number"] as? Int } == [0, 1])
  }

  @Test func whatCannotBeOpenedIsSaidInOneSentence() async throws {
    let taken = try UDPSocket(bind: Endpoint(.loopback, port: 0))
    for (arguments, complaint) in [
      (["--listen", "\(taken.local)"], "is in use: stop the process that has it"),
      (["--listen", "192.0.2.1"], "no interface here has the address 192.0.2.1"),
      (["--listen", "127.0.0.1", "--namespace", "ht-none"], "no network namespace ht-none"),
    ] {
      let ending = try await server(["--number", "1", "--directory", "127.0.0.1"] + arguments)
      #expect(ending.code == 1 && !ending.wasKilledByASignal)
      #expect(ending.output.isEmpty && ending.errors.contains(complaint))
      #expect(ending.errors.split(separator: "\n").count == 1)
    }
    withExtendedLifetime(taken) {}
  }

  @Test(arguments: [
    ["--number", "40", "--listen", "127.0.0.1"], ["--number", "1"], [],
    ["--number", "1", "--listen", "127.0.0.1:0"],
    ["--number", "1", "--listen", "127.0.0.1", "--capacity", "0"],
    ["--number", "1", "--listen", "127.0.0.1", "--queue", "0"],
    ["--server", "1=127.0.0.2", "--server", "1=127.0.0.3"], ["--server", "127.0.0.2"],
  ])
  func wrongFlagsAreAUsageError(_ arguments: [String]) async throws {
    let ending = try await server(["--directory", "127.0.0.1"] + arguments)
    #expect(ending.code == 64 && ending.output.isEmpty && !ending.errors.isEmpty)
  }
}
