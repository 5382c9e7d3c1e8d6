import Sockets
import Testing

@Suite struct EndpointTests {
  @Test func addressAndPortAreReadAndWritten() throws {
    let endpoint = try Endpoint(parsing: "10.0.0.1:18517", defaultPort: 18516)
    #expect(endpoint == Endpoint(IPv4Address(rawValue: 0x0a00_0001), port: 18517))
    #expect(endpoint.description == "10.0.0.1:18517")
    #expect(try Endpoint(parsing: "255.1.2.0", defaultPort: 18516).description == "255.1.2.0:18516")
  }

  @Test(arguments: [
    "", ":", "10.0.0.1:", "10.0.0.1:0", "10.0.0.1:65536", "10.0.0.1:-1", "10.0.0.1:+1", "10.0.0",
    "10.0.0.1.2", "10.0.0.256", "10.0.0.01", "10.0.0.", "rack", "::1", "10.0.0.1:1:2", " 10.0.0.1",
    "10.0.0.99999999999999999999", "10.0.0.١",
  ])
  func anythingElseIsRefusedWithAnExample(_ text: String) {
    let error = #expect(throws: SocketError.self) {
      try Endpoint(parsing: text, defaultPort: 18516)
    }
    #expect(error == .invalidEndpoint(text))
    #expect(error?.description.contains("10.0.0.1:18516") == true)
  }
}
