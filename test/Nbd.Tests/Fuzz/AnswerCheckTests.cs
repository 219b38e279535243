using Godwit.Fuzz.Engine;
using Godwit.Fuzz.Nbd;
using Godwit.Nbd.Protocol;
using Xunit;

namespace Godwit.Nbd.Tests.Fuzz;

/// <summary>The judge of the fuzz targets notices what it is there for.</summary>
public sealed class AnswerCheckTests
{
    private static readonly byte[] Greeting = new byte[18];
    private static readonly byte[] Sent = Request(NbdCommand.Flush, 7, 0, 0);

    [Fact]
    public void An_answer_to_a_request_that_was_made_is_fine() => Judge([.. Greeting, .. Reply(7)]);

    [Fact]
    public void An_answer_to_nothing_is_found() =>
        Assert.Contains("not made", Finding([.. Greeting, .. Reply(8)]).Message, StringComparison.Ordinal);

    [Fact]
    public void A_second_answer_is_found() =>
        Assert.Contains("more often", Finding([.. Greeting, .. Reply(7), .. Reply(7)]).Message, StringComparison.Ordinal);

    [Fact]
    public void What_is_no_answer_is_found() =>
        Assert.Contains("no reply", Finding([.. Greeting, .. new byte[16]]).Message, StringComparison.Ordinal);

    [Fact]
    public void A_change_is_asked_for_only_by_a_whole_request_for_exactly_it()
    {
        byte[] sent = [1, 2, 3, .. Request(NbdCommand.Write, 1, 512, 4), 9, 8, 7, 6];
        Assert.True(new ChangeJournal.Change(NbdCommand.Write, 512, 4, [9, 8, 7, 6]).IsAskedFor(sent));
        Assert.False(new ChangeJournal.Change(NbdCommand.Write, 512, 4, [9, 8, 7, 6]).IsAskedFor(sent.AsSpan(0, sent.Length - 1)));
        Assert.False(new ChangeJournal.Change(NbdCommand.Write, 513, 4, [9, 8, 7, 6]).IsAskedFor(sent));
        Assert.False(new ChangeJournal.Change(NbdCommand.Trim, 512, 4, []).IsAskedFor(sent));
    }

    private static FuzzFinding Finding(byte[] answers) => Assert.Throws<FuzzFinding>(() => Judge(answers));

    private static void Judge(byte[] answers) => AnswerCheck.Judge(Sent, answers, new Signals(new CoverageMap()));

    private static byte[] Request(NbdCommand command, ulong cookie, ulong offset, uint length)
    {
        var bytes = new byte[NbdMagic.RequestLength];
        new RequestHeader(NbdCommandFlags.None, command, cookie, offset, length).Write(bytes);
        return bytes;
    }

    private static byte[] Reply(byte cookie) => [0x67, 0x44, 0x66, 0x98, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, cookie];
}
