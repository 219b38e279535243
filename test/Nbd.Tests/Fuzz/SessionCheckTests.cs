using Godwit.Fuzz.Engine;
using Godwit.Fuzz.Nbd;
using Godwit.Nbd.Protocol;
using Xunit;

namespace Godwit.Nbd.Tests.Fuzz;

/// <summary>The judge of the fuzz targets notices what it is there for: a real session, with one thing wrong in it.</summary>
public sealed class SessionCheckTests
{
    private const int Size = SessionScript.DiskSize;
    private static readonly byte[] FirstReply = [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1];

    [Fact(Timeout = 60_000)]
    public async Task A_session_that_went_well_is_fine()
    {
        var played = await PlayedSession.PlayAsync();
        played.Judge();
        Assert.All(new SessionModel(played.Sent, ServerUnderFuzz.Offered, isPrompt: true).Requests, request => Assert.True(request.IsComplete));
    }

    [Fact(Timeout = 60_000)]
    public async Task Answers_that_are_missing_doubled_foreign_cut_or_false_are_found()
    {
        var good = await PlayedSession.PlayAsync();
        Found(good, "was never answered", played => played.Rewrite(FirstReply, []));
        Found(good, "more often", played => played.Rewrite(FirstReply, [.. FirstReply, .. FirstReply]));
        Found(good, "not made", played => played.Rewrite(FirstReply, [.. FirstReply[..15], 200]));
        Found(good, "is to be served", played => played.Rewrite(FirstReply, [.. FirstReply[..7], 5, .. FirstReply[8..]]));
        Found(good, "no reply stands", played => played.Rewrite(FirstReply, [9, .. FirstReply[1..]]));
        Found(good, "in its middle", played => played.Outcome = played.Outcome with { Answers = played.Outcome.Answers![..^1] });
    }

    [Fact(Timeout = 60_000)]
    public async Task Data_the_device_does_not_have_are_found()
    {
        var good = await PlayedSession.PlayAsync();
        var read = good.Outcome.OnDisk.First(entry => entry.Command == NbdCommand.Read).Bytes[^64..];
        Found(good, "not what the device has", played => played.Rewrite(read, [.. read[..63], (byte)~read[63]]));
    }

    [Fact(Timeout = 60_000)]
    public async Task What_happens_on_the_device_otherwise_than_it_was_asked_for_is_found()
    {
        var good = await PlayedSession.PlayAsync();
        Found(good, "acknowledged, and 0 bytes", played => played.OnDevice(NbdCommand.Write, _ => []));
        Found(good, "more often than it was", played => played.OnDevice(NbdCommand.Write, entry => [entry, entry]));
        Found(good, "never asked for", played => played.OnDevice(NbdCommand.Write, entry => [entry with { Offset = entry.Offset + 512 }]));
        Found(good, "never asked for", played => played.OnDevice(NbdCommand.Write, entry => [entry with { Bytes = new byte[entry.Length] }]));
        Found(good, "never asked for", played => played.OnDevice(NbdCommand.Write, entry => [entry, new JournalEntry(NbdCommand.Trim, 0, 512, [])]));
        Found(good, "were read and never", played => played.OnDevice(NbdCommand.Write, entry => [entry, new JournalEntry(NbdCommand.Read, 1600 << 10, 4096, [])]));
        Found(good, "has not grown", played => played.OnDevice(NbdCommand.Resize, _ => []));
        Found(good, "the device failed", played => played.OnDevice(NbdCommand.Write, entry => [entry with { Bytes = entry.Bytes[..512], Failed = true }]));
        Found(good, "was not chosen", played => played.Outcome = played.Outcome with { OnOther = [new JournalEntry(NbdCommand.Trim, 0, 512, [])] });
    }

    [Fact(Timeout = 60_000)]
    public async Task A_write_that_comes_after_a_later_writer_was_let_in_is_found()
    {
        var good = await PlayedSession.PlayAsync();
        Found(good, "a later one was let in", played => played.Outcome = played.Outcome with { Rival = new RivalVisit(0, null, false), IsPrompt = false });
        Found(good, "is not served", played => played.Outcome = played.Outcome with
        {
            Rival = new RivalVisit(played.Outcome.OnDisk.Count, "refused", false),
            IsPrompt = false,
        });
        Found(good, "other bytes than it wrote", played => played.Outcome = played.Outcome with
        {
            Rival = new RivalVisit(played.Outcome.OnDisk.Count, null, true),
            IsPrompt = false,
        });
    }

    [Fact(Timeout = 60_000)]
    public async Task Options_that_are_answered_otherwise_are_found()
    {
        var good = await PlayedSession.PlayAsync();
        byte[] ack = [0x47, 0x57, 0, 1, 0, 0, 0, 1], policy = [0x47, 0x57, 0, 1, 0x80, 0, 0, 2];
        Found(good, "where Ack must be", played => played.Rewrite(ack, policy));
        Found(good, "not sent", played => played.Rewrite(ack, [0, 0, 0, 99, .. ack[4..]]));
        Found(good, "is answered with MetaContext", played => played.Rewrite("godwit:dirty:lost"u8.ToArray(), "godwit:dirty:last"u8.ToArray()));
    }

    [Fact(Timeout = 60_000)]
    public async Task Marks_that_are_missing_or_that_nothing_was_written_for_are_found()
    {
        var played = await PlayedSession.PlayAsync();
        var session = new SessionModel(played.Sent, ServerUnderFuzz.Offered, isPrompt: true);
        DeviceCheck.Judge(session, played.Outcome.OnDisk, null, isPrompt: true);
        var status = session.Requests[^1];
        Assert.Equal(NbdCommand.BlockStatus, status.Header.Command);
        Judge(400 << 10, 404 << 10, changed: false);
        Judge(0, 256 << 10, changed: true);
        Judge(Size, Size + 4096, changed: true);
        Assert.Contains("has not changed", Finding(252 << 10, 500 << 10, changed: false), StringComparison.Ordinal);
        Assert.Contains("come in growing", Finding(Size, Size + 4096, changed: false), StringComparison.Ordinal);
        Assert.Contains("nobody asked", Finding(0, 400 << 10, changed: true), StringComparison.Ordinal);

        void Judge(long at, long end, bool changed) => MarkCheck.Judge(session, status, at, end, changed, null);
        string Finding(long at, long end, bool changed) => Assert.Throws<FuzzFinding>(() => Judge(at, end, changed)).Message;
    }

    [Theory]
    [InlineData(3L, null, "nobody has ended")]
    [InlineData(0L, "first", "goes on without it")]
    [InlineData(0L, null, "not let in")]
    public void A_client_that_goes_on_without_what_it_wanted_is_found(long epoch, string? point, string words) => Assert.Contains(
        words,
        Assert.Throws<FuzzFinding>(() => ConnectionCheck.Judge(new ClientScript(NbdHeaderForm.Extended, epoch, point), new byte[100])).Message,
        StringComparison.Ordinal);

    private static void Found(PlayedSession good, string words, Action<PlayedSession> spoil)
    {
        var played = good.Copy();
        spoil(played);
        played.ExpectFound(words);
    }
}
