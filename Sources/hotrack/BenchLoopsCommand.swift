import ArgumentParser
import Bench
import Foundation

/// `hotrack bench loops`: what the packet loops cost, against decoding alone.
struct BenchLoopsCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "loops",
    abstract: "Measure what a server and the directory do per datagram.",
    discussion: """
      CPU time of one thread, without sockets, the least of several rounds over 4,096 keys; and \
      how much the heap grows. The baseline, of the same run, decodes each datagram's header and \
      does nothing else. directory_* is the host build of the decision code, not the XDP \
      program, and includes restoring the datagram that the last round stamped.
      """)

  @Option(help: "Datagrams in a round; at least 1,000.")
  var datagrams = 200_000

  @Option(help: "Rounds; the best counts.")
  var rounds = 7

  @Flag(help: "Print one JSON object.")
  var json = false

  func validate() throws {
    guard datagrams >= 1_000, rounds >= 1 else {
      throw ValidationError("--datagrams must be at least 1,000 and --rounds at least 1.")
    }
  }

  func run() throws {
    let isTerminal = isatty(STDERR_FILENO) == 1
    let results = PacketLoopBench(datagramsPerRound: datagrams, rounds: rounds).run { name in
      if isTerminal { FileHandle.standardError.write(Data("\r\u{1b}[K\(name)".utf8)) }
    }
    if isTerminal { FileHandle.standardError.write(Data("\r\u{1b}[K".utf8)) }
    guard !json else {
      let encoder = JSONEncoder()
      encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
      print(String(decoding: try encoder.encode(["cases": results]), as: UTF8.self))
      return
    }
    print("CASE                  NS/DATAGRAM  RATIO TO DECODE  HEAP BYTES/DATAGRAM")
    for result in results {
      print(
        result.name.padding(toLength: 20, withPad: " ", startingAt: 0)
          + String(
            format: "  %11.1f  %15.2f  %19.3f", result.nanosecondsPerDatagram,
            result.ratioToDecode, result.heapBytesPerDatagram))
    }
  }
}
