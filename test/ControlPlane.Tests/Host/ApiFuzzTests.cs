using System.Globalization;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using Godwit.Api;
using Godwit.Host.Http;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>Requests made up from the OpenAPI document: whatever comes, the answer is one the document knows, and never 500.</summary>
public sealed class ApiFuzzTests(ITestOutputHelper output)
{
    private const int Requests = 10_000;

    /// <summary>Answers that any request may get: what is wrong with it is told before its operation begins.</summary>
    private static readonly HashSet<int> Refusals = [400, 403, 404, 405, 409, 413, 415, 422, 429, 501, 503, 507];

    /// <summary>Connects to where the request says: tested elsewhere, with hosts that are there.</summary>
    private const string Outward = "/v1/host/membership";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 300_000)]
    public async Task Only_documented_answers_and_never_an_internal_error()
    {
        var seed = int.TryParse(Environment.GetEnvironmentVariable("GODWIT_SEED"), CultureInfo.InvariantCulture, out var given) ? given : Environment.TickCount;
        output.WriteLine($"GODWIT_SEED={seed}");
        await using var host = await RestHost.StartAsync(rates: new RequestRates(1_000_000, 1_000_000, 1_000_000, 1_000_000));
        await host.Fakes.AddVmAsync("vm", disks: 2);
        await host.Fakes.AddVmAsync("off", running: false);
        using var document = JsonDocument.Parse(await host.Client.GetStringAsync(new Uri("/openapi/v1.json", UriKind.Relative), Token));
        var requests = new RequestSource(document.RootElement, new Random(seed));
        var operations = requests.Operations.Where(operation => operation.Path != Outward).ToArray();
        var seen = new SortedDictionary<int, int>();
        for (var i = 0; i < Requests; i++)
        {
            var operation = operations[i % operations.Length];
            var (path, body) = requests.Next(operation);
            var status = await SendAsync(host, operation, path, body);
            seen[status] = seen.GetValueOrDefault(status) + 1;
        }

        output.WriteLine(string.Join(", ", seen.Select(pair => $"{pair.Value} x {pair.Key}")));
        Assert.True(seen.Where(pair => pair.Key < 300).Sum(pair => pair.Value) > Requests / 10, "hardly anything was accepted: the requests are too wild");
        // No file of the computer was touched by a name or a path, and the host still answers.
        Assert.Equal(HttpStatusCode.OK, (await host.Client.GetAsync(new Uri("/v1/vms", UriKind.Relative), Token)).StatusCode);
    }

    private static async Task<int> SendAsync(RestHost host, ApiOperation operation, string path, string? body)
    {
        using var request = new HttpRequestMessage(new HttpMethod(operation.Method), new Uri("http://godwit" + path, new UriCreationOptions { DangerousDisablePathAndQueryCanonicalization = true }));
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        // An event stream does not end while its job goes on.
        using var response = await host.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead, Token);
        var status = (int)response.StatusCode;
        var what = $"{operation.Method} {path}\n{body}\n{status}";
        Assert.True(status != 500, what);
        if (status >= 400)
        {
            var text = await response.Content.ReadAsStringAsync(Token);
            // What is no target of HTTP at all the server refuses before any of our code runs.
            if (status == 400 && text.Length == 0 && path.Contains("%00", StringComparison.Ordinal))
                return status;
            Assert.True(Refusals.Contains(status), $"{what} {text}");
            Assert.True(response.Content.Headers.ContentType?.MediaType == "application/problem+json", $"{what} {text}");
            var problem = JsonSerializer.Deserialize(text, ApiJson.Default.Problem);
            Assert.True(problem is { Title.Length: > 0 } && problem.Code != ErrorCode.Internal, $"{what} {text}");
            return status;
        }

        Assert.True(operation.Answers.Contains(status) || operation.Path.EndsWith("/events", StringComparison.Ordinal), $"{what} is not documented");
        return status;
    }
}
