namespace Godwit.Benchmarks.Nbd;

/// <summary>A mark, and what this run has to say about it.</summary>
/// <param name="Name">What is measured.</param>
/// <param name="AtLeast">True when the value must not be smaller than the limit, false when it must not be larger.</param>
/// <param name="Limit">The mark.</param>
/// <param name="Measured">What was measured.</param>
/// <param name="Unit">Unit of both: "times", "ms", "MiB".</param>
internal sealed record Goal(string Name, bool AtLeast, double Limit, double Measured, string Unit = "times")
{
    /// <summary>Whether the mark is reached.</summary>
    public bool Met => AtLeast ? Measured >= Limit : Measured <= Limit;
}
