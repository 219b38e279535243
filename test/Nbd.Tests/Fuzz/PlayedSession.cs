using Godwit.Fuzz.Engine;
using Godwit.Fuzz.Nbd;
using Godwit.Nbd.Protocol;
using Xunit;

namespace Godwit.Nbd.Tests.Fuzz;

/// <summary>A session of large requests as it was played against the real server, to be falsified afterwards in the ways a defect of the server would.</summary>
internal sealed class PlayedSession
{
    private static readonly byte[] Write = [0x25, 0x60, 0x95, 0x13, 0, 0, 0, 1];

    private PlayedSession(byte[] sent, SessionOutcome outcome) => (Sent, Outcome) = (sent, outcome);

    public byte[] Sent { get; }

    public SessionOutcome Outcome { get; set; }

    /// <summary>The same, to be falsified in another way.</summary>
    public PlayedSession Copy() => new(Sent, Outcome);

    /// <summary>Plays it until client and device have both been patient, and something has gone through a pipe.</summary>
    public static async Task<PlayedSession> PlayAsync()
    {
        var server = new ServerUnderFuzz();
        var script = SessionScript.CreateLarge(NbdHeaderForm.Structured).File;
        var sent = await script.ReadBytesAsync(0, (int)script.Length);
        var payload = sent.AsSpan().IndexOf(Write) + NbdMagic.RequestLength;
        for (var attempt = 0; attempt < 200; attempt++)
        {
            sent[payload]++;
            server.Renew();
            var outcome = await server.PlayAsync(sent, TimeSpan.FromSeconds(20));
            if (outcome is { Answers: not null, Rival: null, IsPrompt: true } && !outcome.OnDisk.Any(entry => entry.Failed)
                && outcome.OnDisk.Any(entry => entry is { Command: NbdCommand.Write, Length: 256 << 10 }))
            {
                return new PlayedSession(sent, outcome);
            }
        }

        throw new InvalidOperationException("no client was ever patient");
    }

    public void Judge() => SessionCheck.Judge(Sent, Outcome, new Signals(new CoverageMap()));

    public void ExpectFound(string words) => Assert.Contains(words, Assert.Throws<FuzzFinding>(Judge).Message, StringComparison.Ordinal);

    /// <summary>Changes what was heard: something that stands there becomes something else.</summary>
    public void Rewrite(byte[] from, byte[] to)
    {
        var at = Outcome.Answers.AsSpan().IndexOf(from);
        Assert.True(at >= 0);
        Outcome = Outcome with { Answers = [.. Outcome.Answers.AsSpan(0, at), .. to, .. Outcome.Answers.AsSpan(at + from.Length)] };
    }

    /// <summary>Changes what the first request of a kind did on the device.</summary>
    public void OnDevice(NbdCommand command, Func<JournalEntry, IEnumerable<JournalEntry>> change)
    {
        var entries = Outcome.OnDisk.ToList();
        var index = entries.FindIndex(entry => entry.Command == command);
        Outcome = Outcome with { OnDisk = [.. entries[..index], .. change(entries[index]), .. entries[(index + 1)..]] };
    }
}
