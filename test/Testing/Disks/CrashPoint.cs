namespace Godwit.Testing.Disks;

/// <summary>When and how the crash happened.</summary>
/// <param name="Events">Changes of the file that had completed.</param>
/// <param name="Possible">Changes that may have left a trace: one more when the crash came in the middle of it.</param>
/// <param name="PowerCut">Only what was flushed is certain; else all that was acknowledged is.</param>
/// <param name="What">Words for the message of a failure; enough to repeat it.</param>
public readonly record struct CrashPoint(int Events, int Possible, bool PowerCut, string What)
{
    public override string ToString() => $"{What}, after event {Events}";
}
