using Godwit.Fuzz.Engine;

namespace Godwit.Fuzz.Nbd;

/// <summary>Judges a session: what its client heard, what happened on the devices, and what became of a later writer.</summary>
internal static class SessionCheck
{
    /// <summary>Judges.</summary>
    /// <param name="sent">All that was sent.</param>
    /// <param name="outcome">What it came to.</param>
    /// <param name="signals">Is told what was answered.</param>
    /// <exception cref="FuzzFinding">Something is not as it must be.</exception>
    public static void Judge(byte[] sent, SessionOutcome outcome, Signals signals)
    {
        var session = new SessionModel(sent, ServerUnderFuzz.Offered, outcome.IsPrompt);
        var replies = outcome.Answers is null ? [] : new OptionCheck(session, signals, outcome.Rival).Judge(outcome.Answers);
        var isOther = session.Export?.Name == SessionScript.OtherName;
        var (chosen, unused) = isOther ? (outcome.OnOther, outcome.OnDisk) : (outcome.OnDisk, outcome.OnOther);

        // The later writer is always one of the disk.
        DeviceCheck.Judge(session, chosen, isOther ? null : outcome.Rival, outcome.IsPrompt);
        if (unused.Where((entry, index) => !(isOther && outcome.Rival?.IsOwn(entry, index) == true)).Any())
            throw new FuzzFinding("something happened on an export that was not chosen");
        if (outcome.Answers is not null)
        {
            new AnswerCheck(session, chosen, signals) { Rival = outcome.Rival, IsPrompt = outcome.IsPrompt }.Judge(replies);
            JudgeRival(session, outcome.Rival, signals);
        }
    }

    private static void JudgeRival(SessionModel session, RivalVisit? rival, Signals signals)
    {
        if (rival is null)
            return;
        signals.Note($"rival {rival.LetInAt >= 0} {rival.Failure is null} {rival.Ends(session)}");
        if (rival.Failure is { } failure && !RivalVisit.IsEndedBy(session))
            throw new FuzzFinding($"an honest later writer is not served: {failure}");
        if (rival.ReadsOther && rival.Ends(session))
            throw new FuzzFinding("a later writer reads other bytes than it wrote, and the earlier one is the only other");
    }
}
