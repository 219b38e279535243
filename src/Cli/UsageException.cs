namespace Godwit.Cli;

/// <summary>The command line cannot be understood; nothing has been done.</summary>
/// <param name="message">What is wrong, in one line.</param>
internal sealed class UsageException(string message) : Exception(message);
