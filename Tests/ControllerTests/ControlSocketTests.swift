import Controller
import Foundation
import Sockets
import Testing

@testable import Controller

@Suite("The control socket")
struct ControlSocketTests {
  /// An address at which nobody answers.
  private static let silent: [UInt8: Endpoint] = [0: Endpoint(.loopback, port: 1)]

  @Test("Only its user may connect")
  func mode() throws {
    let scratch = try Scratch()
    let before = umask(0)
    defer { umask(before) }
    let listener = try ControlListener(path: scratch["a/b/socket"])
    var status = stat()
    #expect(lstat(listener.path, &status) == 0)
    #expect(status.st_mode & 0o7777 == 0o600)
    #expect(status.st_mode & S_IFMT == S_IFSOCK)
  }

  @Test("The socket of a living controller is left alone, that of a dead one replaced")
  func stale() throws {
    let scratch = try Scratch()
    let path = scratch["socket"]
    do {
      let living = try ControlListener(path: path)
      #expect(throws: ControllerError.controllerRunning(socket: path)) {
        try ControlListener(path: path)
      }
      #expect(throws: Never.self) { try RawReader(path) }
      withExtendedLifetime(living) {}
    }
    #expect(access(path, F_OK) != 0, "it goes away with its listener")
    // What a killed process leaves: a bound socket that nobody listens on.
    let dead = LocalSocket.open()
    #expect(LocalSocket.call(bind, dead, path: path) == 0)
    close(dead)
    let next = try ControlListener(path: path)
    #expect(throws: Never.self) { try RawReader(path) }
    withExtendedLifetime(next) {}
  }

  @Test("A file in its way, a path too long and a directory that cannot be made are said")
  func impossible() throws {
    let scratch = try Scratch()
    try scratch.write("file", "precious")
    #expect(throws: ControllerError.notASocket(path: scratch["file"])) {
      try ControlListener(path: scratch["file"])
    }
    #expect(try scratch.read("file") == "precious")
    let long = scratch[String(repeating: "x", count: 120)]
    #expect(throws: ControllerError.socketPathTooLong(path: long)) {
      try ControlListener(path: long)
    }
    let error = #expect(throws: ControllerError.self) {
      try ControlListener(path: "/proc/self/socket")
    }
    #expect(error?.description.contains("--socket") == true)
  }

  @Test("Without a controller the client says how to start one")
  func nobody() throws {
    let scratch = try Scratch()
    let error = #expect(throws: ControlClientError.noController(socket: scratch["socket"])) {
      try ControlClient(socket: scratch["socket"])
    }
    #expect(error?.description.contains("hotrack controller --config") == true)
  }

  @Test("Garbage is refused line by line, and the connection goes on")
  func garbage() throws {
    let controller = try TestController(servers: Self.silent)
    let reader = try RawReader(controller.socket)
    let requests = [
      "", "garbage", "[]", "{}", "{\"command\":7}", "{\"command\":\"format\"}", "\u{0}\u{1}",
      "{\"command\":\"promote\"}", "{\"command\":\"promote\",\"key\":\"\"}",
      "{\"command\":\"promote\",\"key_hex\":\"123\"}",
      "{\"command\":\"promote\",\"key_hex\":\"zz\"}",
      "{\"command\":\"promote\",\"key\":\"a\",\"key_hex\":\"61\"}",
      "{\"command\":\"promote\",\"key\":\"\(String(repeating: "k", count: 251))\"}",
      "{\"command\":\"automatic\"}", "{\"command\":\"automatic\",\"on\":\"yes\"}",
      "{\"command\":\"keys\",\"limit\":-1}",
      "{\"command\":\"events\",\"since\":-1}",
    ]
    reader.write(requests.joined(separator: "\n") + "\n")
    let answers = reader.lines(requests.count)
    #expect(answers.count == requests.count)
    for (request, answer) in zip(requests, answers) {
      #expect(answer.hasPrefix("{\"error\":\"") && answer.hasSuffix(",\"ok\":false}"), "\(request)")
    }
    reader.write([0xff, 0xfe, 0x0a])
    #expect(reader.lines(1).first?.contains("\"ok\":false") == true)
    reader.write("{\"command\":\"counters\"}\n")
    #expect(reader.lines(1) == ["{\"counters\":{\"drop_malformed\":2,\"hot_read\":5},\"ok\":true}"])
    #expect(controller.error == nil)
  }

  @Test("A line as long as it may be is read, a longer one ends the connection")
  func longLines() throws {
    let controller = try TestController(servers: Self.silent)
    let reader = try RawReader(controller.socket)
    let request = "{\"command\":\"counters\"}"
    let padding = String(repeating: " ", count: ControlReaders.lineLengthMax - request.utf8.count)
    reader.write(request + padding + "\n")
    #expect(reader.lines(1).first?.contains("\"ok\":true") == true)
    reader.write(String(repeating: "x", count: ControlReaders.lineLengthMax + 1))
    #expect(reader.lines(2) == ["{\"error\":\"a request has at most 4096 bytes\",\"ok\":false}"])
    #expect(try controller.status().rack == "test")
    #expect(try controller.status().packetsByProcessor == [3, 4])
    #expect(
      try controller.status().interfaces == ["s0": "native", "s1": "generic", "s2": "detached"])
  }

  @Test("A request may come byte by byte, and several at once")
  func pieces() throws {
    let controller = try TestController(servers: Self.silent)
    let reader = try RawReader(controller.socket)
    for byte in "{\"command\":\"counters\"}\n".utf8 { reader.write([byte]) }
    #expect(reader.lines(1).count == 1)
    reader.write(String(repeating: "{\"command\":\"counters\"}\n", count: 100))
    #expect(reader.lines(100).count == 100)
  }

  @Test("A reader that takes no answers stops nobody and is not answered for ever")
  func slow() throws {
    let controller = try TestController(servers: Self.silent)
    let slow = try RawReader(controller.socket)
    _ = fcntl(slow.descriptor, F_SETFL, O_NONBLOCK)
    let request = Array("{\"command\":\"status\"}\n".utf8)
    // Until the kernel takes no more from it: then the controller has stopped reading.
    #expect(eventually { !slow.write(request) && errno == EAGAIN })
    for _ in 0..<20 { #expect(try controller.status().rack == "test") }
    // The tick goes on as well.
    let before = try controller.status().uptimeSeconds
    #expect(try eventually { try controller.status().uptimeSeconds > before })
    #expect(controller.error == nil)
  }

  @Test("With more readers than it keeps, the one that was silent longest is closed")
  func many() throws {
    let controller = try TestController(servers: Self.silent)
    var readers: [RawReader] = []
    for _ in 0..<ControlReaders.readersMax {
      let reader = try RawReader(controller.socket)
      reader.write("{\"command\":\"counters\"}\n")
      #expect(reader.lines(1).count == 1)
      readers.append(reader)
    }
    readers[0].write("{\"command\":\"counters\"}\n")
    #expect(readers[0].lines(1).count == 1)
    #expect(try controller.status().rack == "test")
    #expect(readers[1].isClosed)
    readers[0].write("{\"command\":\"counters\"}\n")
    #expect(readers[0].lines(1).count == 1)
  }

  @Test("Requests and answers survive being written and read")
  func coding() throws {
    let request = ControlRequest(.promote, keyHex: "00ff", since: 5, limit: 3)
    let line = try ControlCoding.encoder().encode(request)
    #expect(
      String(decoding: line, as: UTF8.self)
        == "{\"command\":\"promote\",\"key_hex\":\"00ff\",\"limit\":3,\"since\":5}")
    #expect(try ControlRequest(line: line) == request)
    #expect(try request.keyBytes() == [0, 255])
  }
}
