namespace Godwit.Api;

/// <summary>An operation was refused or failed, with the code and words the caller is to see.</summary>
/// <param name="problem">What went wrong.</param>
/// <param name="inner">The cause, if another exception led here.</param>
public sealed class GodwitException(Problem problem, Exception? inner = null) : Exception(problem.Title, inner)
{
    /// <summary>Creates the exception from its parts.</summary>
    /// <param name="code">What went wrong, for programs.</param>
    /// <param name="title">What went wrong, for people.</param>
    /// <param name="remedy">What to do about it.</param>
    public GodwitException(ErrorCode code, string title, string? remedy = null)
        : this(new Problem(code, title, remedy))
    {
    }

    /// <summary>What went wrong.</summary>
    public Problem Problem { get; } = problem;
}
