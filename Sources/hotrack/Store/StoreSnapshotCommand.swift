import ArgumentParser
import Foundation
import Glibc
import Paxos
import StoreClient
import StoreNode
import StoreProtocol

/// `hotrack store snapshot`
struct StoreSnapshotCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "snapshot",
    abstract: "Save all that a node has to a file, and begin a new cell with it.",
    subcommands: [
      StoreSnapshotSaveCommand.self, StoreSnapshotStatusCommand.self,
      StoreSnapshotRestoreCommand.self,
    ])

  /// Reads a snapshot file; what is wrong with it ends the process.
  static func read<Result>(
    _ path: String, _ body: (UnsafeRawBufferPointer) throws -> Result
  ) throws -> Result {
    do {
      let data = try Data(contentsOf: URL(fileURLWithPath: path), options: .mappedIfSafe)
      return try data.withUnsafeBytes(body)
    } catch let error as SnapshotFileError {
      standardError("Error: \(path): \(error)")
    } catch let error as StoreNodeError {
      standardError("Error: \(error)")
    } catch {
      standardError("Error: \(path): \(error.localizedDescription)")
    }
    throw ExitCode(1)
  }
}

/// `hotrack store snapshot save`
struct StoreSnapshotSaveCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "save",
    abstract: "Save all that one node has, as of one moment, to a file.",
    discussion: """
      The node goes on meanwhile. What was acknowledged just before may be missing if this node has not \
      heard of it yet. The file appears when it is whole and synced.

      Exit codes: 0 saved, 1 not saved, 2 the node cannot be reached, 64 usage.
      """)

  @Argument(help: "The file.")
  var file: String

  @OptionGroup var options: StoreOptions

  func run() async throws {
    let endpoints = try options.parsedEndpoints
    guard endpoints.count == 1 else {
      throw ValidationError("a snapshot is of one node: give one endpoint")
    }
    try await options.run { client in
      let status = try await client.status(of: endpoints[0])
      let part = file + ".part"
      do {
        var writer = SnapshotWriter()
        let output = try OutputFile(part)
        try output.write(writer.begin(SnapshotHeader(cell: status.cell, node: status.node)))
        try await client.snapshot(of: endpoints[0]) { try output.write(writer.row($0)) }
        try output.write(writer.end())
        try output.finish(as: file)
        if options.json {
          StoreText.json(SnapshotJSON(writer.summary, sum: writer.sum, size: output.length))
        } else {
          StoreText.line("Snapshot saved at \(file)")
        }
      } catch let error as StoreClientError {
        unlink(part)
        throw error
      } catch {
        unlink(part)
        standardError("Error: \(file): \(error)")
        throw ExitCode(1)
      }
    }
  }
}

/// `hotrack store snapshot status`
struct StoreSnapshotStatusCommand: ParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "status",
    abstract: "Check a snapshot file, and show what it has.",
    discussion: "Exit codes: 0 it is whole, 1 it is not, 64 usage.")

  @Argument(help: "The file.")
  var file: String

  @Flag(help: "Print JSON.")
  var json = false

  func run() throws {
    let (found, size) = try StoreSnapshotCommand.read(file) { bytes in
      (try SnapshotFile(bytes), bytes.count)
    }
    if json {
      StoreText.json(SnapshotJSON(found.summary, sum: found.sum, size: size))
      return
    }
    let rows = [
      ["HASH", "REVISION", "TOTAL KEYS", "TOTAL SIZE", "GROUPS", "NODE"],
      [
        String(found.sum, radix: 16), "\(found.summary.revision)", "\(found.summary.keys)",
        "\(size) B", "\(found.summary.groups)", "\(found.header.node)",
      ],
    ]
    for line in StoreStatusCommand.aligned(rows) { StoreText.line(line) }
  }
}

/// `hotrack store snapshot restore`
struct StoreSnapshotRestoreCommand: AsyncParsableCommand {
  static let configuration = CommandConfiguration(
    commandName: "restore",
    abstract: "Make the data directory of a node of a new cell from a snapshot.",
    discussion: """
      Once for each node of the new cell, with the same file, instead of `hotrack store init`. The cell \
      has to have another name than the one that the snapshot was taken of.

      Exit codes: 0 done, 1 refused, 64 usage.
      """)

  @Argument(help: "The file.")
  var file: String

  @OptionGroup var arguments: StoreNodeArguments

  func run() async throws {
    let options = try arguments.checkedOptions("snapshot restore")
    let found = try StoreSnapshotCommand.read(file) {
      try DataDirectory.restore(options, snapshot: $0)
    }
    StoreText.line(
      "node \(options.node.rawValue) of cell \(options.cellName): \(options.dataDirectory), "
        + "\(found.summary.groups) groups with \(found.summary.keys) keys")
  }
}

private struct SnapshotJSON: Encodable {
  var hash: String
  var revision: UInt64
  var totalKey: UInt64
  var totalSize: Int
  var groups: UInt64

  init(_ summary: SnapshotSummary, sum: UInt64, size: Int) {
    hash = String(sum, radix: 16)
    revision = summary.revision
    totalKey = summary.keys
    totalSize = size
    groups = summary.groups
  }
}

/// A file that is whole when it has its name.
private final class OutputFile {
  struct Failure: Error, CustomStringConvertible {
    let description: String
    init() { description = String(cString: strerror(errno)) }
  }

  private let path: String
  private let descriptor: Int32
  private(set) var length = 0

  init(_ path: String) throws {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
    guard descriptor >= 0 else { throw Failure() }
  }

  deinit { close(descriptor) }

  func write(_ bytes: [UInt8]) throws {
    try bytes.withUnsafeBytes { bytes in
      var rest = bytes[...]
      while !rest.isEmpty {
        let written = Glibc.write(
          descriptor, UnsafeRawBufferPointer(rebasing: rest).baseAddress, rest.count)
        guard written > 0 else {
          if written < 0, errno == EINTR { continue }
          throw Failure()
        }
        rest = rest.dropFirst(written)
      }
    }
    length += bytes.count
  }

  /// Makes it durable, under its name.
  func finish(as name: String) throws {
    guard fsync(descriptor) == 0, rename(path, name) == 0 else { throw Failure() }
    let directory = open(
      URL(fileURLWithPath: name).deletingLastPathComponent().path, O_RDONLY | O_DIRECTORY)
    guard directory >= 0 else { throw Failure() }
    defer { close(directory) }
    guard fsync(directory) == 0 else { throw Failure() }
  }
}
