/// The head of an HTTP request, as far as a page of text needs it. No byte of it is believed.
public struct HTTPRequest: Sendable, Equatable {
  public var method: String
  /// Without its query.
  public var path: String

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
    let line = bytes.prefix { $0 != 10 }.filter { $0 != 13 }
    guard line.allSatisfy({ $0 >= 32 && $0 < 127 }) else { throw Refusal(status: 400) }
    let words = line.split(separator: 32, omittingEmptySubsequences: false)
    guard words.count == 3, words[2].starts(with: "HTTP/1.".utf8), words[1].first == 47 else {
      throw Refusal(status: 400)
    }
    let method = String(decoding: words[0], as: UTF8.self)
    guard method == "GET" || method == "HEAD" else { throw Refusal(status: 405) }
    return HTTPRequest(
      method: method, path: String(decoding: words[1].prefix { $0 != 63 }, as: UTF8.self))
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
  public var body: String

  public init(status: Int = 200, contentType: String = "text/plain; charset=utf-8", body: String) {
    self.status = status
    self.contentType = contentType
    self.body = body
  }

  /// One that only says what went wrong.
  public init(refusal status: Int) {
    self.init(status: status, body: "\(status) \(Self.reason(status))\n")
  }

  /// What goes over the wire; `isHead`: without the body.
  public func bytes(isHead: Bool = false) -> [UInt8] {
    let body = Array(body.utf8)
    let head = """
      HTTP/1.1 \(status) \(Self.reason(status))\r
      Content-Type: \(contentType)\r
      Content-Length: \(body.count)\r
      Cache-Control: no-store\r
      X-Content-Type-Options: nosniff\r
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
    case 431: "Request Header Fields Too Large"
    case 503: "Service Unavailable"
    default: "Internal Server Error"
    }
  }
}
