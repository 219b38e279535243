using System.Text;
using Godwit.Qemu;
using Godwit.Qemu.Qmp;
using Godwit.Testing.Qemu;
using Xunit;

namespace Godwit.ControlPlane.Tests.Qemu;

public sealed class QmpConnectionTests
{
    private const int Limit = 20_000;

    private static CancellationToken Token => TestContext.Current.CancellationToken;

    [Fact(Timeout = Limit)]
    public async Task The_greeting_tells_the_version_and_turns_on_out_of_band_commands()
    {
        var (ours, theirs) = DuplexStream.CreatePair();
        using var qemu = new ScriptedQmp(theirs);
        var opening = QmpConnection.OpenAsync(ours, Token);
        await qemu.SendLineAsync(ScriptedQmp.Greeting);
        var command = await qemu.ReceiveAsync(Token);
        Assert.Equal("qmp_capabilities", command.Name);
        Assert.Equal("oob", command.Arguments.GetProperty("enable")[0].GetString());
        await qemu.ReturnAsync(command, "{}");
        await using var qmp = await opening;
        Assert.True(qmp.OutOfBand);
        Assert.Equal(new QemuVersion(10, 0, 2), qmp.Version);
    }

    [Fact(Timeout = Limit)]
    public async Task A_command_gets_its_own_answer_though_an_event_comes_between()
    {
        var (qmp, qemu) = await OpenAsync();
        await using var _ = qmp;
        var asked = qmp.QueryStatusAsync(Token);
        var command = await qemu.ReceiveAsync(Token);
        await qemu.RaiseAsync("STOP", "{}");
        await qemu.ReturnAsync(command, """{"status": "io-error", "running": false, "new-member": 1}""");
        Assert.Equal(new QmpStatus("io-error", false), await asked);
        var happened = await qmp.Events.ReadAsync(Token);
        Assert.Equal("STOP", happened.Name);
        Assert.Equal(DateTimeOffset.FromUnixTimeMilliseconds(1_700_000_000_250), happened.Time);
    }

    [Fact(Timeout = Limit)]
    public async Task Commands_go_out_one_at_a_time_and_an_out_of_band_command_overtakes_them()
    {
        var (qmp, qemu) = await OpenAsync();
        await using var _ = qmp;
        var stop = qmp.StopAsync(Token);
        var cont = qmp.ContinueAsync(Token);
        var yank = qmp.YankAsync([new QmpYankInstance("block-node", "disk0")], Token);
        var first = await qemu.ReceiveAsync(Token);
        var second = await qemu.ReceiveAsync(Token);
        Assert.Equal(("stop", false), (first.Name, first.OutOfBand));
        Assert.Equal(("yank", true), (second.Name, second.OutOfBand));
        Assert.Equal("disk0", second.Arguments.GetProperty("instances")[0].GetProperty("node-name").GetString());
        await qemu.ReturnAsync(second, "{}");
        await yank;
        Assert.False(stop.IsCompleted);
        await qemu.ReturnAsync(first, "{}");
        await stop;
        var third = await qemu.ReceiveAsync(Token);
        Assert.Equal("cont", third.Name);
        await qemu.ReturnAsync(third, "{}");
        await cont;
    }

    [Fact(Timeout = Limit)]
    public async Task A_refusal_carries_class_and_words_and_the_connection_goes_on()
    {
        var (qmp, qemu) = await OpenAsync();
        await using var _ = qmp;
        var asked = qmp.QuitAsync(Token);
        await qemu.RefuseAsync(await qemu.ReceiveAsync(Token), "CommandNotFound", "no such thing");
        var refused = await Assert.ThrowsAsync<QmpException>(() => asked);
        Assert.Equal(("quit", "CommandNotFound", "no such thing"), (refused.Command, refused.ErrorClass, refused.Description));
        var again = qmp.QueryUuidAsync(Token);
        var id = Guid.NewGuid();
        await qemu.ReturnAsync(await qemu.ReceiveAsync(Token), $$"""{"UUID": "{{id}}"}""");
        Assert.Equal(id, await again);
    }

    [Fact(Timeout = Limit)]
    public async Task The_answer_to_a_command_whose_caller_gave_up_is_dropped()
    {
        var (qmp, qemu) = await OpenAsync();
        await using var _ = qmp;
        using var patience = new CancellationTokenSource();
        var stop = qmp.StopAsync(patience.Token);
        var first = await qemu.ReceiveAsync(Token);
        await patience.CancelAsync();
        await Assert.ThrowsAnyAsync<OperationCanceledException>(() => stop);
        var asked = qmp.QueryStatusAsync(Token);
        var second = await qemu.ReceiveAsync(Token);
        await qemu.ReturnAsync(first, "{}");
        await qemu.ReturnAsync(second, """{"status": "running", "running": true}""");
        Assert.Equal("running", (await asked).Status);
    }

    [Fact(Timeout = Limit)]
    public async Task Bytes_may_come_one_by_one()
    {
        var (qmp, qemu) = await OpenAsync();
        await using var _ = qmp;
        var asked = qmp.QueryStatusAsync(Token);
        var command = await qemu.ReceiveAsync(Token);
        foreach (var c in $$"""{"return": {"status": "pa\u0075sed", "running": false}, "id": {{command.Id}}}""" + "\r\n")
            await qemu.SendAsync(c.ToString());
        Assert.Equal("paused", (await asked).Status);
    }

    [Fact(Timeout = Limit)]
    public async Task Hanging_up_after_any_byte_of_the_greeting_is_a_clear_error()
    {
        var text = ScriptedQmp.Greeting + "\r\n";
        for (var n = 0; n < text.Length; n++)
        {
            var (ours, theirs) = DuplexStream.CreatePair();
            using var qemu = new ScriptedQmp(theirs);
            var opening = QmpConnection.OpenAsync(ours, Token);
            await qemu.SendAsync(text[..n]);
            qemu.Dispose();
            var error = await Assert.ThrowsAsync<QmpConnectionException>(() => opening);
            Assert.Contains("ended", error.Message, StringComparison.Ordinal);
        }
    }

    [Fact(Timeout = Limit)]
    public async Task Hanging_up_after_any_byte_of_an_answer_fails_the_command()
    {
        for (var n = 0; ; n++)
        {
            var (qmp, qemu) = await OpenAsync();
            await using var _ = qmp;
            var asked = qmp.QueryStatusAsync(Token);
            var command = await qemu.ReceiveAsync(Token);
            var text = $$"""{"return": {"status": "running", "running": true}, "id": {{command.Id}}}""" + "\n";
            await qemu.SendAsync(text[..n]);
            qemu.Dispose();
            if (n == text.Length)
            {
                Assert.True((await asked).Running);
                break;
            }

            await Assert.ThrowsAsync<QmpConnectionException>(() => asked);
            await Assert.ThrowsAsync<QmpConnectionException>(() => qmp.StopAsync(Token));
        }
    }

    [Theory(Timeout = Limit)]
    [InlineData("garbage")]
    [InlineData("{\"return\": {}, \"id\": 99}")]
    [InlineData("{\"return\": {}}")]
    [InlineData("{\"return\": {}, \"id\": \"1\"}")]
    [InlineData("{\"return\": {}, \"id\": 1e300}")]
    [InlineData("{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}")]
    [InlineData("{\"event\": 7}")]
    [InlineData("[]")]
    [InlineData("null")]
    [InlineData("{\"QMP\": {}}")]
    [InlineData("{\"return\": {}} trailing")]
    [InlineData("\0\u0001\u0002")]
    public async Task What_is_no_QMP_ends_the_connection_with_a_reason(string line)
    {
        var (qmp, qemu) = await OpenAsync();
        await using var _ = qmp;
        var asked = qmp.QueryStatusAsync(Token);
        await qemu.ReceiveAsync(Token);
        await qemu.SendLineAsync(line);
        var error = await Assert.ThrowsAsync<QmpConnectionException>(() => asked);
        Assert.StartsWith("QMP: ", error.Message, StringComparison.Ordinal);
        Assert.False(await qmp.Events.WaitToReadAsync(Token));
        Assert.Equal(error.Message, (await qmp.Completion).Message);
    }

    [Fact(Timeout = Limit)]
    public async Task Deeply_nested_and_random_lines_never_do_more_than_end_the_connection()
    {
        const int Seed = 20260101;
        var random = new Random(Seed);
        for (var round = 0; round < 300; round++)
        {
            var (qmp, qemu) = await OpenAsync();
            await using var _ = qmp;
            var asked = qmp.QueryStatusAsync(Token);
            var command = await qemu.ReceiveAsync(Token);
            await qemu.SendLineAsync(Mutate(random, command.Id, round));
            qemu.Dispose();
            var error = await Record.ExceptionAsync(() => asked);
            Assert.True(error is null or QmpConnectionException or QmpException, $"seed {Seed}, round {round}: {error}");
        }
    }

    [Fact(Timeout = Limit)]
    public async Task An_answer_of_the_wrong_form_is_an_error_of_that_command_only()
    {
        var (qmp, qemu) = await OpenAsync();
        await using var _ = qmp;
        var asked = qmp.QueryStatusAsync(Token);
        await qemu.ReturnAsync(await qemu.ReceiveAsync(Token), "[1, 2]");
        var error = await Assert.ThrowsAsync<QmpConnectionException>(() => asked);
        Assert.Contains("query-status", error.Message, StringComparison.Ordinal);
        var again = qmp.StopAsync(Token);
        await qemu.ReturnAsync(await qemu.ReceiveAsync(Token), "{}");
        await again;
    }

    [Fact(Timeout = Limit)]
    public async Task Events_that_nobody_reads_are_dropped_from_the_front_and_counted()
    {
        var (qmp, qemu) = await OpenAsync();
        await using var _ = qmp;
        for (var i = 0; i < 1000; i++)
            await qemu.RaiseAsync($"E{i}", "{}");
        var asked = qmp.QueryStatusAsync(Token);
        await qemu.ReturnAsync(await qemu.ReceiveAsync(Token), """{"status": "running", "running": true}""");
        await asked;
        var kept = 0;
        var last = "";
        while (qmp.Events.TryRead(out var happened))
            (kept, last) = (kept + 1, happened.Name);
        Assert.Equal("E999", last);
        Assert.Equal(1000, kept + qmp.EventsDropped);
        Assert.InRange(kept, 1, 256);
    }

    [Fact(Timeout = Limit)]
    public async Task Too_long_a_line_and_too_long_a_command_are_refused()
    {
        var (qmp, qemu) = await OpenAsync();
        await using var _ = qmp;
        var huge = new QmpYank([new QmpYankInstance("block-node", new string('x', QmpConnection.MaximumCommand))]);
        await Assert.ThrowsAsync<ArgumentException>(() => qmp.YankAsync(huge.Instances, Token));
        var asked = qmp.QueryStatusAsync(Token);
        await qemu.ReceiveAsync(Token);
        var sending = SendEndlessLineAsync(qemu);
        var error = await Assert.ThrowsAsync<QmpConnectionException>(() => asked);
        Assert.Contains("longer than", error.Message, StringComparison.Ordinal);
        await qmp.DisposeAsync();
        await sending;
    }

    [Fact(Timeout = Limit)]
    public async Task Closing_fails_commands_that_wait()
    {
        var (qmp, qemu) = await OpenAsync();
        var asked = qmp.QueryStatusAsync(Token);
        await qemu.ReceiveAsync(Token);
        await qmp.DisposeAsync();
        await Assert.ThrowsAsync<QmpConnectionException>(() => asked);
        await Assert.ThrowsAsync<QmpConnectionException>(() => qmp.StopAsync(Token));
        await qmp.DisposeAsync();
    }

    private static async Task<(QmpConnection Qmp, ScriptedQmp Qemu)> OpenAsync()
    {
        var (ours, theirs) = DuplexStream.CreatePair();
        var qemu = new ScriptedQmp(theirs);
        var opening = QmpConnection.OpenAsync(ours, Token);
        await qemu.GreetAsync(Token);
        return (await opening, qemu);
    }

    // Ends by itself: the pipe refuses more once the connection has been disposed, and before that takes 64 KiB at a time.
    private static async Task SendEndlessLineAsync(ScriptedQmp qemu)
    {
        var piece = new string(' ', 64 << 10);
        for (var sent = 0; sent < QmpConnection.MaximumLine + (1 << 20); sent += piece.Length)
        {
            var send = qemu.SendAsync(piece);
            if (await Task.WhenAny(send, Task.Delay(300, Token)) != send)
                return;
        }
    }

    private static string Mutate(Random random, long id, int round)
    {
        if (round == 0)
            return new string('[', 100_000);
        var line = new StringBuilder($$"""{"return": {"status": "running", "running": true}, "id": {{id}}}""");
        for (var i = random.Next(1, 6); i > 0; i--)
            line[random.Next(line.Length)] = (char)random.Next(0x20, 0x7f);
        return line.ToString();
    }
}
