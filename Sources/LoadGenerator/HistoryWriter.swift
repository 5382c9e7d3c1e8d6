internal import Glibc

/// Writes a history, one JSON object per line, as `hotrack check` reads it. Buffered: a line that
/// was appended is in the file after `finish`.
final class HistoryWriter {
  private let path: String
  private let descriptor: Int32
  private var buffer: [UInt8] = []

  private static let bufferLength = 1 << 18

  init(path: String) throws(LoadError) {
    self.path = path
    descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
    guard descriptor >= 0 else { throw Self.failure(path, errno) }
    buffer.reserveCapacity(Self.bufferLength + 4_096)
  }

  deinit { if descriptor >= 0 { close(descriptor) } }

  /// `outcome` and `kind` in the words of the format. `value` nil: there is none; `returned` nil:
  /// the outcome is not certain.
  func append(
    client: Int, sequence: UInt64, kind: StaticString, key: [UInt8], value: [UInt8]?,
    version: UInt64?, invoked: UInt64, returned: UInt64?, outcome: StaticString
  ) throws(LoadError) {
    put("{\"client\":")
    put(UInt64(client))
    put(",\"seq\":")
    put(sequence)
    put(",\"op\":\"")
    put(kind)
    put("\",\"key\":")
    putString(key)
    put(",\"value\":")
    if let value { putString(value) } else { put("null") }
    put(",\"version\":")
    if let version { put(version) } else { put("null") }
    put(",\"invoke_ns\":")
    put(invoked)
    put(",\"return_ns\":")
    if let returned { put(returned) } else { put("null") }
    put(",\"outcome\":\"")
    put(outcome)
    put("\"}\n")
    if buffer.count >= Self.bufferLength { try flush() }
  }

  func finish() throws(LoadError) { try flush() }

  private func flush() throws(LoadError) {
    var written = 0
    while written < buffer.count {
      let count = buffer.withUnsafeBytes { bytes in
        write(descriptor, bytes.baseAddress.map { $0 + written }, bytes.count - written)
      }
      if count < 0, errno == EINTR { continue }
      guard count >= 0 else { throw Self.failure(path, errno) }
      written += count
    }
    buffer.removeAll(keepingCapacity: true)
  }

  private func put(_ text: StaticString) {
    buffer.append(
      contentsOf: UnsafeBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
  }

  private func put(_ number: UInt64) {
    let first = buffer.count
    var rest = number
    repeat {
      buffer.append(UInt8(ascii: "0") + UInt8(rest % 10))
      rest /= 10
    } while rest > 0
    buffer[first...].reverse()
  }

  /// A string of JSON. Bytes that are not UTF-8 (the rack gave back what nobody wrote) become
  /// U+FFFD.
  private func putString(_ bytes: [UInt8]) {
    buffer.append(UInt8(ascii: "\""))
    let isPlain = bytes.allSatisfy {
      (0x20...0x7e).contains($0) && $0 != UInt8(ascii: "\"") && $0 != UInt8(ascii: "\\")
    }
    if isPlain {
      buffer.append(contentsOf: bytes)
    } else {
      for scalar in String(decoding: bytes, as: UTF8.self).unicodeScalars { putEscaped(scalar) }
    }
    buffer.append(UInt8(ascii: "\""))
  }

  private func putEscaped(_ scalar: Unicode.Scalar) {
    switch scalar {
    case "\"", "\\":
      buffer.append(UInt8(ascii: "\\"))
      buffer.append(UInt8(ascii: scalar))
    case _ where scalar.value < 0x20 || scalar.value == 0x7f:
      let digits = String(scalar.value, radix: 16)
      buffer.append(
        contentsOf: ("\\u" + String(repeating: "0", count: 4 - digits.count) + digits).utf8)
    default: buffer.append(contentsOf: String(scalar).utf8)
    }
  }

  private static func failure(_ path: String, _ code: Int32) -> LoadError {
    .cannotWrite(path: path, reason: String(cString: strerror(code)))
  }
}
