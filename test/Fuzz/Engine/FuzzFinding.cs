namespace Godwit.Fuzz.Engine;

/// <summary>An input made the product do what it must never do.</summary>
internal sealed class FuzzFinding(string message, Exception? cause = null) : Exception(message, cause)
{
    /// <summary>The message without its numbers: two findings with the same shape are most likely one defect.</summary>
    public string Shape => Signals.ShapeOf(Message);
}
