using System.Net;
using System.Net.Http.Headers;
using System.Text;
using Godwit.Api.Access;
using Godwit.ControlPlane.Access;
using Godwit.ControlPlane.Store;
using Microsoft.Extensions.Time.Testing;
using Xunit;

namespace Godwit.ControlPlane.Tests.Host;

/// <summary>Idempotency keys: a request that is sent again is not done again.</summary>
public sealed class RepeatTests
{
    private const string Spec = """{"name":"web","settings":{"memory":67108864},"disks":[{"path":"/src/a.vhdx","size":1048576}]}""";

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = 30_000)]
    public async Task The_same_request_again_gets_the_same_answer_and_is_done_once()
    {
        await using var host = await RestHost.StartAsync();
        var first = await SendAsync(host.Client, "/v1/vms", "k1", Spec);
        var second = await SendAsync(host.Client, "/v1/vms", "k1", Spec);
        Assert.Equal((201, false), (first.Status, first.Replayed));
        Assert.Equal((201, true), (second.Status, second.Replayed));
        Assert.Equal((first.Body, first.Location, first.Type), (second.Body, second.Location, second.Type));
        Assert.Equal("/v1/vms/web", first.Location);
        Assert.Equal(409, (await SendAsync(host.Client, "/v1/vms", "k2", Spec)).Status);
        Assert.Equal(409, (await SendAsync(host.Client, "/v1/vms", null, Spec)).Status);
        Assert.Equal(1, (await host.GetAsync("/v1/vms")).Body.GetArrayLength());
    }

    [Fact(Timeout = 30_000)]
    public async Task A_key_belongs_to_one_request_of_one_caller()
    {
        await using var host = await RestHost.StartAsync(new IPEndPoint(IPAddress.Loopback, 0));
        await SendAsync(host.Client, "/v1/vms", "k", Spec);
        var other = await SendAsync(host.Client, "/v1/vms", "k", Spec.Replace("web", "bew", StringComparison.Ordinal));
        Assert.Equal(409, other.Status);
        Assert.Contains("used for another request", other.Body, StringComparison.Ordinal);
        Assert.Equal(409, (await SendAsync(host.Client, "/v1/vms/web/start", "k", null)).Status);
        using var anna = host.ConnectRemote(host.NewToken("anna", Role.Operator));
        Assert.Equal((200, false), await StartAsync("k"));
        Assert.Equal((200, true), await StartAsync("k"));

        async Task<(int, bool)> StartAsync(string key)
        {
            var answer = await SendAsync(anna, "/v1/vms/web/start", key, null);
            return (answer.Status, answer.Replayed);
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task What_was_refused_may_be_tried_again_with_the_same_key()
    {
        await using var host = await RestHost.StartAsync();
        Assert.Equal(404, (await SendAsync(host.Client, "/v1/vms/web/start", "k", null)).Status);
        await host.PostAsync("/v1/vms", Spec);
        Assert.Equal((200, false), await StartAsync());
        Assert.Equal((200, true), await StartAsync());

        async Task<(int, bool)> StartAsync()
        {
            var answer = await SendAsync(host.Client, "/v1/vms/web/start", "k", null);
            return (answer.Status, answer.Replayed);
        }
    }

    [Fact(Timeout = 30_000)]
    public async Task Keys_that_are_none_and_answers_with_secrets_are_refused()
    {
        await using var host = await RestHost.StartAsync(new IPEndPoint(IPAddress.Loopback, 0));
        Assert.Equal(400, (await SendAsync(host.Client, "/v1/vms", new string('k', 129), Spec)).Status);
        Assert.Equal(400, (await SendAsync(host.Client, "/v1/vms", "a b", Spec)).Status);
        foreach (var (path, body) in new[] { ("/v1/tokens", """{"name":"a","role":"Viewer"}"""), ("/v1/host/join-tokens", """{"host":"h2"}"""), ("/v1/host/join", "{}") })
            Assert.Contains("secret", (await SendAsync(host.Client, path, "k", body)).Body, StringComparison.Ordinal);
        Assert.Empty(host.Fakes.Database.Query("SELECT key FROM answers", row => row.GetString(0)));
        Assert.Equal(0, (await host.GetAsync("/v1/tokens")).Body.GetArrayLength());
    }

    [Fact(Timeout = 30_000)]
    public async Task A_request_in_the_middle_of_which_the_daemon_was_killed_is_not_done_again()
    {
        await using var host = await RestHost.StartAsync();
        await SendAsync(host.Client, "/v1/vms", "k", Spec);
        // As it stands between the note and the answer.
        host.Fakes.Database.Execute("UPDATE answers SET status = NULL, body = NULL");
        var again = await SendAsync(host.Client, "/v1/vms", "k", Spec);
        Assert.Equal(409, again.Status);
        Assert.Contains("ended in the middle", again.Body, StringComparison.Ordinal);
    }

    [Fact]
    public void Answers_are_kept_a_day_and_not_without_end()
    {
        var time = new FakeTimeProvider(new DateTimeOffset(2026, 1, 2, 3, 4, 5, TimeSpan.Zero));
        using var database = Database.Open(":memory:");
        var store = new AnswerStore(database, time);
        byte[] request = [1, 2, 3];
        Assert.Equal(RepeatKind.New, store.Begin("a", "k", request).Kind);
        Assert.Equal(RepeatKind.Unanswered, store.Begin("a", "k", request).Kind);
        store.Complete("a", "k", new StoredAnswer(200, "t", null, [7]));
        time.Advance(TimeSpan.FromDays(1) - TimeSpan.FromMilliseconds(1));
        var (kind, answer) = store.Begin("a", "k", request);
        Assert.Equal((RepeatKind.Answered, 200, "t", 7), (kind, answer!.Status, answer.ContentType, answer.Body[0]));
        Assert.Equal(RepeatKind.Different, store.Begin("a", "k", [1]).Kind);
        Assert.Equal(RepeatKind.New, store.Begin("b", "k", [1]).Kind);
        time.Advance(TimeSpan.FromMilliseconds(1));
        Assert.Equal(RepeatKind.New, store.Begin("a", "k", request).Kind);
        for (var i = 0; i < AnswerStore.MaximumPerCaller; i++)
            store.Begin("a", $"n{i}", request);
        Assert.Equal(RepeatKind.Unanswered, store.Begin("a", "n0", request).Kind);
        Assert.Equal(RepeatKind.New, store.Begin("a", "k", request).Kind);
        Assert.Equal(RepeatKind.Different, store.Begin("b", "k", request).Kind);
    }

    private static async Task<(int Status, string Body, string? Location, string? Type, bool Replayed)> SendAsync(
        HttpClient client, string path, string? key, string? body)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, path);
        if (key is not null)
            request.Headers.TryAddWithoutValidation("Idempotency-Key", key);
        if (body is not null)
            request.Content = new StringContent(body, Encoding.UTF8, new MediaTypeHeaderValue("application/json"));
        using var response = await client.SendAsync(request, Token);
        return ((int)response.StatusCode, await response.Content.ReadAsStringAsync(Token), response.Headers.Location?.ToString(),
            response.Content.Headers.ContentType?.ToString(), response.Headers.Contains("Idempotent-Replayed"));
    }
}
