internal import Sockets

/// The head of an HTTP request, as far as a page of text needs it. No byte of it is believed.
public struct HTTPRequest: Sendable, Equatable {
  public var method: String
  /// Without its query.
  public var path: String
  /// Whom the reader believes to ask, with or without a port; nil: it does not say.
  public var host: String?

  /// More than any browser sends.
  public static let headLengthMax = 8_192

  /// Why there is no request: `status` is what to answer.
  public struct Refusal: Error, Equatable, Sendable {
    public var status: Int
  }

  /// Reads a head, if all of it has come; nil: more is needed.
  public static func read(_ bytes: [UInt8]) throws(Refusal) -> HTTPRequest? {
    guard let end = headEnd(bytes) else {
      guard bytes.count <= headLengthMax else { throw Refusal(status: 431) }
      return nil
    }
    guard end <= headLengthMax else { throw Refusal(status: 431) }
    let lines = bytes[..<end].split(separator: 10, omittingEmptySubsequences: false)
      .map { $0.filter { $0 != 13 } }
    guard let line = lines.first, line.allSatisfy({ $0 >= 32 && $0 < 127 }) else {
      throw Refusal(status: 400)
    }
    let words = line.split(separator: 32, omittingEmptySubsequences: false)
    guard words.count == 3, words[2].starts(with: "HTTP/1.".utf8), words[1].first == 47 else {
      throw Refusal(status: 400)
    }
    let method = String(decoding: words[0], as: UTF8.self)
    guard method == "GET" || method == "HEAD" else { throw Refusal(status: 405) }
    let hosts = lines.dropFirst().compactMap { host(line: $0) }
    guard hosts.count <= 1 else { throw Refusal(status: 400) }
    return HTTPRequest(
      method: method, path: String(decoding: words[1].prefix { $0 != 63 }, as: UTF8.self),
      host: hosts.first)
  }

  /// What a line of the head says of it; nil: another line.
  private static func host(line: [UInt8]) -> String? {
    let name = Array("host:".utf8)
    guard line.prefix(name.count).map({ $0 | 0x20 }).elementsEqual(name.map { $0 | 0x20 }) else {
      return nil
    }
    let text = line.dropFirst(name.count).filter { $0 != 32 && $0 != 9 }
    return String(decoding: text, as: UTF8.self)
  }

  /// Whether it asks for this very machine: an address, or `localhost`. Another name that leads here
  /// is that of a page elsewhere whose owner lets it point to the reader's own machine, to read with
  /// the reader's browser what only the reader may.
  public var namesThisMachine: Bool {
    guard let host else { return true }
    if host.hasPrefix("[") { return true }
    let name = host.prefix { $0 != ":" }.lowercased()
    return name == "localhost" || IPAddress(name) != nil
  }

  /// Behind the empty line that ends the head.
  private static func headEnd(_ bytes: [UInt8]) -> Int? {
    var newlines = 0
    for (index, byte) in bytes.enumerated() {
      switch byte {
      case 10: newlines += 1
      case 13: continue
      default: newlines = 0
      }
      if newlines == 2 { return index + 1 }
    }
    return nil
  }
}

/// An answer; the connection ends with it.
public struct HTTPResponse: Sendable, Equatable {
  public var status: Int
  public var contentType: String
  public var body: [UInt8]

  public init(status: Int = 200, contentType: String, bytes: [UInt8]) {
    self.status = status
    self.contentType = contentType
    body = bytes
  }

  public init(status: Int = 200, contentType: String = "text/plain; charset=utf-8", body: String) {
    self.init(status: status, contentType: contentType, bytes: Array(body.utf8))
  }

  /// One that only says what went wrong.
  public init(refusal status: Int) {
    self.init(status: status, body: "\(status) \(Self.reason(status))\n")
  }

  /// What a page of ours may do in a browser: load its own files and ask where it came from, nothing
  /// else; no script or style inside of markup, no other site around it.
  static let contentSecurityPolicy = [
    "default-src 'none'", "script-src 'self'", "style-src 'self'", "img-src 'self'",
    "connect-src 'self'", "base-uri 'none'", "form-action 'none'", "frame-ancestors 'none'",
  ].joined(separator: "; ")

  /// What goes over the wire; `isHead`: without the body.
  public func bytes(isHead: Bool = false) -> [UInt8] {
    let head = """
      HTTP/1.1 \(status) \(Self.reason(status))\r
      Content-Type: \(contentType)\r
      Content-Length: \(body.count)\r
      Cache-Control: no-store\r
      X-Content-Type-Options: nosniff\r
      Content-Security-Policy: \(Self.contentSecurityPolicy)\r
      Cross-Origin-Resource-Policy: same-origin\r
      Referrer-Policy: no-referrer\r
      Connection: close\r
      \r

      """
    return Array(head.utf8) + (isHead ? [] : body)
  }

  private static func reason(_ status: Int) -> String {
    switch status {
    case 200: "OK"
    case 400: "Bad Request"
    case 404: "Not Found"
    case 405: "Method Not Allowed"
    case 421: "Misdirected Request"
    case 431: "Request Header Fields Too Large"
    case 503: "Service Unavailable"
    default: "Internal Server Error"
    }
  }
}
